#if os(Linux) || os(macOS)
import CPlatformSupport
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What a pool is at when it is to end.
private enum Moment: String, CaseIterable {
  case unused
  /// Tasks have just been submitted, and no worker is up.
  case starting
  /// All workers have just been asked for.
  case startingAll
  case idle
  /// Two tasks run, and others are queued.
  case busy
  case shuttingDown
  /// Its workers were asked to stop, and go on.
  case terminating
  /// Starting a worker fails, and is tried again.
  case withoutWorkers
  case broken
  case shutDown
  case terminated
}

/// How it is ended, and from where.
private enum WayToEnd: String, CaseIterable {
  case shutdown, terminate, kill
  case shutdownTwice, terminateTwice, killTwice
  case allAtOnce
  case shutdownInCallback, terminateInCallback, killInCallback

  /// Whether it is over although tasks go on, as no grace period counts.
  var waitsForNobody: Bool { [.kill, .killTwice, .killInCallback, .allAtOnce].contains(self) }
  /// Whether what was submitted still runs.
  var isGentle: Bool { [.shutdown, .shutdownTwice, .shutdownInCallback].contains(self) }
}

/// A pool at some moment, and what is under way in it.
private struct Scene {
  let pool: ProcessPool
  /// What runs goes on until it opens.
  let gate: SharedGate
  /// The first task ends when it opens.
  let cue: SharedGate
  private(set) var first: Future<Bool>?
  private(set) var others: [Future<Bool>] = []
  private(set) var start: Future<Void>?
  /// A call that was made before.
  private(set) var earlier: Task<Void, Never>?

  init(_ moment: Moment) async throws {
    var options = ProcessPool.Options()
    options.terminationGracePeriod = .seconds(patience)
    gate = try SharedGate()
    cue = try SharedGate()
    let failure: Int32 = moment == .withoutWorkers ? EAGAIN : moment == .broken ? ENOENT : 0
    pool = makePool(options: options, spawnFailure: { failure })
    try await reach(moment)
  }

  private mutating func reach(_ moment: Moment) async throws {
    let pool = pool
    switch moment {
    case .unused: break
    case .starting, .withoutWorkers: submit(5)
    case .startingAll: start = pool.core.start()
    case .idle: try await pool.start()
    case .busy:
      submit(20)
      await eventually { running == 2 }
    case .shuttingDown:
      try await reach(.busy)
      earlier = Task { await pool.shutdown() }
      await eventually { pool.core.state.withLock { !$0.scheduler.isOpen } }
    case .terminating:
      try await reach(.busy)
      earlier = Task { await pool.terminateWorkers() }
      await eventually { pool.core.state.withLock { $0.scheduler.isStopped } }
    case .broken:
      submit(1)
      await eventually { first?.isDone == true }
    case .shutDown:
      try await pool.start()
      await pool.shutdown()
    case .terminated:
      try await pool.start()
      await pool.terminateWorkers()
    }
  }

  private mutating func submit(_ count: Int) {
    first = Self.task(pool, until: cue)
    for _ in 1..<count { others.append(Self.task(pool, until: gate)) }
  }

  /// Goes on when it is asked to stop.
  private static func task(_ pool: ProcessPool, until gate: SharedGate) -> Future<Bool> {
    pool.submit(gate) { $0.wait() }
  }

  private var running: Int { futures.count { $0.isRunning } }
  var futures: [Future<Bool>] { (first.map { [$0] } ?? []) + others }

  /// The first future of the pool. Once the cue is given it ends by itself, if nothing else ends it.
  func firstFuture() -> Future<Bool> { first ?? Self.task(pool, until: cue) }
}

extension WayToEnd {
  /// Returns when it has happened.
  func happen(to scene: Scene) async throws {
    let pool = scene.pool
    let shutdown: @Sendable () -> Void = { pool.shutdownAndWait() }
    let terminate: @Sendable () -> Void = { try? Future { await pool.terminateWorkers() }.wait() }
    let kill: @Sendable () -> Void = { try? Future { await pool.killWorkers() }.wait() }
    switch self {
    case .shutdown: await pool.shutdown()
    case .terminate: await pool.terminateWorkers()
    case .kill: await pool.killWorkers()
    case .shutdownTwice: for _ in 0..<2 { await pool.shutdown() }
    case .terminateTwice: for _ in 0..<2 { await pool.terminateWorkers() }
    case .killTwice: for _ in 0..<2 { await pool.killWorkers() }
    case .allAtOnce:
      let calls = [shutdown, terminate, kill]
      _ = try await onThreads(6) { calls[$0 % 3]() }
    case .shutdownInCallback: try await callBack(scene, shutdown)
    case .terminateInCallback: try await callBack(scene, terminate)
    case .killInCallback: try await callBack(scene, kill)
    }
  }

  private func callBack(_ scene: Scene, _ body: @escaping @Sendable () -> Void) async throws {
    let returned = Gate()
    // The future may be done: then the callback runs, and blocks, right there.
    try await onThread {
      scene.firstFuture().addDoneCallback { _ in
        body()
        returned.open()
      }
      scene.cue.open()
    }
    await returned.wait()
  }
}

/// How the work of one task is stopped.
private enum Stop: String, CaseIterable {
  case cancel, timeLimit, terminate

  /// Stops it; returns when its future has ended. The calling off of a whole pool goes on.
  func happen(to future: Future<Bool>, of pool: ProcessPool) async -> Task<Void, Never>? {
    var call: Task<Void, Never>?
    switch self {
    case .cancel:
      await eventually { future.isRunning }
      #expect(future.cancel())
    case .timeLimit: break
    case .terminate: call = Task { await pool.terminateWorkers() }
    }
    await eventually { future.isDone }
    return call
  }

  func isReason(for error: (any Error)?) -> Bool {
    switch self {
    case .cancel: error is CancellationError
    case .timeLimit: error is TimeoutError
    case .terminate: error is BrokenExecutorError
    }
  }
}

extension ProcessPools {
  /// The three ways to end a pool, whatever it is at and wherever the call comes from.
  @Suite struct EndingAnyhow {
    @Test(arguments: Moment.allCases, WayToEnd.allCases)
    fileprivate func everyCallReturnsAndNothingIsLeft(_ moment: Moment, _ ending: WayToEnd) async throws {
      let scene = try await Scene(moment)
      let pool = scene.pool
      let processes = pool.workerProcessIdentifiers
      let returned = Gate()
      let call = Task {
        try await ending.happen(to: scene)
        returned.open()
      }
      if !ending.waitsForNobody {
        await eventually { pool.core.state.withLock { !$0.scheduler.isOpen } }
        scene.cue.open()
        scene.gate.open()
      }
      await returned.wait()
      #expect(pool.workerProcessIdentifiers.isEmpty)
      #expect(processes.allSatisfy { !isAlive($0) })
      try await call.value
      await scene.earlier?.value

      let mayBreak = !ending.isGentle || [.terminating, .withoutWorkers, .broken].contains(moment)
      for future in scene.futures {
        let error = future.errorIfDone
        #expect(future.valueIfDone == true || (mayBreak && error is BrokenExecutorError), "\(future)")
      }
      if let start = scene.start {
        #expect(start.isDone)
        let error = start.errorIfDone
        #expect(error == nil || error is BrokenExecutorError || error is ExecutorShutDownError)
      }
      for error in [pool.submit(1) { $0 }.errorIfDone, pool.core.start().errorIfDone] {
        #expect(error is BrokenExecutorError || error is ExecutorShutDownError)
      }
    }

    /// What ends many futures in the calling thread.
    private enum Sweep: String, CaseIterable {
      case cancel, terminate, kill

      func happen(to pool: ProcessPool) {
        let error = BrokenExecutorError(name: "test", reason: rawValue)
        switch self {
        case .cancel: pool.core.shutDown(cancelPending: true)
        case .terminate: pool.core.stop(error, signal: .terminate)
        case .kill: pool.core.stop(error, signal: .kill)
        }
      }
    }

    @Test(arguments: Sweep.allCases)
    private func callbacksOfWhatEndsTogetherMayWaitForEachOther(_ sweep: Sweep) async throws {
      let pool = makePool(workers: 1)
      let blockade = try await WorkerBlockade(pool)
      let futures = (0..<4).map { pool.submit($0) { $0 } }
      let called = Tally()
      for future in futures {
        future.addDoneCallback { _ in
          for other in futures { _ = try? other.wait() }
          called.add()
        }
      }
      try await onThread { sweep.happen(to: pool) }
      #expect(called.count == 4)
      try? await blockade.end()
      await pool.shutdown()
    }

    /// However long a callback of one of them takes.
    @Test(arguments: Sweep.allCases)
    private func noCallReturnsBeforeEverythingHasEnded(_ sweep: Sweep) async throws {
      let pool = makePool(workers: 1)
      let blockade = try await WorkerBlockade(pool)
      let futures = (0..<4).map { pool.submit($0) { $0 } }
      let (called, goOn) = (Gate(), Gate())
      futures[0].addDoneCallback { _ in
        called.open()
        goOn.pass()
      }
      let call = Task { try await onThread { sweep.happen(to: pool) } }
      await called.wait()
      #expect(futures.allSatisfy { $0.isDone })
      try? await blockade.end()
      // And it is not the callback that it waits for.
      await pool.shutdown()
      goOn.open()
      try await call.value
    }

    @Test(arguments: Stop.allCases)
    fileprivate func aWorkerThatIsStoppedHasItsGracePeriodAndItsLateAnswerIsDropped(_ stop: Stop) async throws {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .seconds(patience)
      let pool = makePool(workers: 1, options: options)
      let gates = try (0..<3).map { _ in try SharedGate() }
      let stubborn = pool.submit(gates, timeout: stop == .timeLimit ? .milliseconds(1) : nil) { gates -> Bool in
        gates[0].open()
        gates[1].wait()
        gates[2].open()
        return true
      }
      await gates[0].opened()
      let process = try #require(pool.workerProcessIdentifiers.first)
      let call = await stop.happen(to: stubborn, of: pool)
      // Another worker takes its place; so there is time for what must not happen.
      if stop != .terminate { try await #expect(pool.submit(2) { $0 }.value == 2) }
      #expect(isAlive(process) && !gates[2].isOpen)
      gates[1].open()
      await gates[2].opened()
      await eventually { !isAlive(process) }
      await call?.value
      await pool.shutdown()
      #expect(stop.isReason(for: stubborn.errorIfDone), "\(String(describing: stubborn.resultIfDone))")
    }

    @Test(arguments: Stop.allCases)
    fileprivate func withoutAGracePeriodAWorkerIsKilledAtOnce(_ stop: Stop) async throws {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .zero
      let pool = makePool(workers: 1, options: options)
      try await pool.start()
      let process = try #require(pool.workerProcessIdentifiers.first)
      let begun = try SharedGate()
      let stubborn = pool.submit(begun, timeout: stop == .timeLimit ? .milliseconds(100) : nil) { begun -> Bool in
        signal(SIGTERM, SIG_IGN)
        begun.open()
        stayForever()
      }
      // Where nothing is fast, its time may be up before.
      await eventually { begun.isOpen || stubborn.isDone }
      let call = await stop.happen(to: stubborn, of: pool)
      let due = pool.core.state.withLock { $0.scheduler.nextDeadline }
      #expect(due ?? 0 <= cf_now(), "it is to be killed later")
      await eventually { !isAlive(process) }
      await call?.value
      await pool.shutdown()
      #expect(stop.isReason(for: stubborn.errorIfDone), "\(String(describing: stubborn.resultIfDone))")
    }
  }
}
#endif
