#if os(Linux) || os(macOS)
import CPlatformSupport
import CProcessSupport
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What only the driver touches. Whoever has the current generation is the driver.
final class DriverState {
  @exclusivity(unchecked) var workers: [WorkerHandle] = []
  /// Futures to complete, and other code of the user to call: one at a time, with everything else in order, since it may
  /// block and hand the driving over to another thread.
  @exclusivity(unchecked) var deliveries: [Delivery] = []
  @exclusivity(unchecked) var nextDelivery = 0
  @exclusivity(unchecked) var spin = AdaptiveSpin()
  /// What is being taken in, and what of it are answers.
  @exclusivity(unchecked) var received: [ReceivedFrame] = []
  @exclusivity(unchecked) var answers: [(ProcessWork, Int)] = []
  /// The work that a thread is waiting for that drives at the moment instead of the driver's thread.
  @exclusivity(unchecked) var helped: ProcessWork?
  /// Its answer, to be decoded when somebody else may drive again.
  @exclusivity(unchecked) var helpedAnswer: ReceivedFrame?
  @exclusivity(unchecked) var helpSpin = AdaptiveSpin()
  /// What it leaves for the driver's thread.
  @exclusivity(unchecked) var wakesDriver = false
  @exclusivity(unchecked) var polled: [pollfd] = []
  /// When the descriptors were looked at the last time.
  @exclusivity(unchecked) var lastPoll: UInt64 = 0
  @exclusivity(unchecked) var failedSpawns = 0
  /// Not before this time.
  @exclusivity(unchecked) var nextSpawn: UInt64 = 0

  enum Delivery {
    case answer(ProcessWork, ReceivedFrame)
    case failure(ProcessWork, any Error)
    case callbacks(ProcessWork)
    case started(Future<Void>)
    case broken(any Error)
    case closed
  }
}

/// A thread that drives or has driven a pool. While a callback on it blocks, another thread drives, and this one ends when the
/// callback has returned.
private final class DriverThread: BlockingHost, @unchecked Sendable {
  private let core: ProcessPoolCore
  private let generation: Int

  init(_ core: ProcessPoolCore, _ generation: Int) {
    self.core = core
    self.generation = generation
  }

  override func sleep(untilDone future: _FutureCore) {
    willBlock()
    _ = future.park(until: nil)
  }

  // The new thread has the right to drive from this one.
  override func willBlock() { if core.drives(generation) { core.startDriver(inheriting: true) } }
}

extension ProcessPoolCore {
  /// Wakes the driver's thread, or starts it.
  func wakeDriver() {
    let needsThread = state.withLock { state in
      if state.isClosed || state.hasDriver { return false }
      state.hasDriver = true
      return true
    }
    if needsThread { startDriver(inheriting: false) } else { driver.wake() }
  }

  fileprivate func startDriver(inheriting: Bool) {
    let generation = driver.generation.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    let started = startDetachedThread(name: name) { [self] in
      let thread = DriverThread(self, generation)
      cf_thread().pointee.worker = Unmanaged.passUnretained(thread as BlockingHost).toOpaque()
      if !inheriting { driver.drive() }
      drive(generation)
      cf_thread().pointee.worker = nil
    }
    if !started {
      state.withLock { $0.hasDriver = false }
      stop(BrokenExecutorError(name: name, reason: "the system gives it no thread"), signal: .kill)
    }
  }

  fileprivate func drives(_ generation: Int) -> Bool { driver.generation.load(ordering: .acquiring) == generation }

  private func drive(_ generation: Int) {
    let state = driverState
    while true {
      while state.nextDelivery < state.deliveries.count {
        let delivery = state.deliveries[state.nextDelivery]
        state.nextDelivery += 1
        deliver(delivery)
        // The user's code blocked, and another thread drives now.
        guard drives(generation) else { return }
        if case .closed = delivery {
          driver.stopDriving()
          return
        }
      }
      state.deliveries.removeAll(keepingCapacity: true)
      state.nextDelivery = 0

      if driver.takeCommand() { takeUndelivered(state) }
      spawnWorkers(state)
      var progressed = false
      for worker in state.workers {
        if receiveFrames(worker, state) { progressed = true }
        if worker.flushPending() { progressed = true }
      }
      checkTimes(state)
      closeIfDone(state)
      // Also when there is always something to do: a worker that never stops talking must not hide the end of another.
      if cf_now() &- state.lastPoll > Self.longestWithoutPoll {
        self.state.withLock { $0.scheduler.awaitSigns(until: cf_now() &+ patience) }
        look(state, limit: 0)
      }
      if progressed || !state.deliveries.isEmpty { continue }
      let hasMore = state.spin.spin {
        driver.isCommanded || driver.doesHelperWantToDrive || state.workers.contains { $0.hasInput || $0.mayFlush }
      }
      if hasMore, !driver.doesHelperWantToDrive { continue }
      sleep(state)
    }
  }

  private func deliver(_ delivery: DriverState.Delivery) {
    switch delivery {
    case .answer(let work, let frame):
      if frame.isLong, work.mayFinishElsewhere, finishElsewhere(work, frame) { return }
      work.finish(frame)
    case .failure(let work, let error): work.fail(error)
    case .callbacks(let work): work.deliver()
    case .started(let future): future.complete(with: .success(()))
    case .broken(let error): stop(error, signal: .kill)
    case .closed: closed.complete(with: .success(()))
    }
  }

  // MARK: sleeping

  private func sleep(_ state: DriverState) {
    guard driver.prepareToSleep() else { return }
    for worker in state.workers { worker.prepareToSleep() }
    cp_fence()
    // Our own standard error may take nothing at the moment: then those of the workers wait.
    let mayForward = StandardErrorPipe.mayForward
    if mayForward {
      for worker in state.workers where worker.standardError.holdsSomething { worker.pumpStandardError() }
    }
    let limit = state.workers.contains { $0.hasInput } ? 0 : nanosecondsToSleep(state, mayForward: mayForward)
    look(state, limit: limit, mayForward: mayForward)
    driver.wokeUp()
    for worker in state.workers { worker.wakeUp() }
  }

  private static var longestWithoutPoll: UInt64 { 1_000_000 }
  /// As many as take in a full ring.
  private static var mostLastLooks: Int { ChannelMemory.ringSize / (mostAtOnce * ChannelHeader.size) }

  /// Looks at the descriptors, and sleeps on them for so many nanoseconds; without limit if negative.
  private func look(_ state: DriverState, limit: Int64, mayForward: Bool = StandardErrorPipe.mayForward) {
    let wakeDescriptor = driver.wakeDescriptor()
    state.polled.removeAll(keepingCapacity: true)
    func poll(_ descriptor: Int32) {
      state.polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
    }
    poll(wakeDescriptor)
    for worker in state.workers {
      poll(worker.isDeaf || worker.isCondemned ? -1 : worker.socket)
      poll(worker.standardError.isOpen && mayForward ? worker.standardError.descriptor : -1)
      poll(worker.exitDescriptor)
    }
    if limit != 0 { driver.stopDriving() }
    let count = cp_poll(&state.polled, state.polled.count, wakeDescriptor < 0 ? min(limit & .max, 1_000_000) : limit)
    if limit != 0 { driver.drive() }
    state.lastPoll = cf_now()
    if count > 0 { handleEvents(state, wakeDescriptor) }
  }

  private func handleEvents(_ state: DriverState, _ wakeDescriptor: Int32) {
    if state.polled[0].revents != 0 { driver.emptyPipe(wakeDescriptor) }
    for (place, worker) in state.workers.enumerated().reversed() {
      if state.polled[3 * place + 1].revents != 0 {
        worker.hear()
        worker.flush()
        // It is ending, which a signal cannot change any more; or it closed its socket and would never be heard again.
        if worker.isDeaf {
          // What it has answered counts, however it ends; but not what it goes on to say.
          for _ in 0..<Self.mostLastLooks where receiveFrames(worker, state) {}
          if worker.isEnding { worker.kill() } else { worker.condemn("it closed the socket to its parent") }
        }
      }
      if state.polled[3 * place + 2].revents != 0 { worker.pumpStandardError() }
      if state.polled[3 * place + 3].revents != 0, let reason = worker.reap() {
        worker.seal()
        while receiveFrames(worker, state) {}
        worker.standardError.pump(atEnd: true)
        state.workers.remove(at: place)
        bury(worker, reason, state)
      }
    }
  }

  /// Negative: without limit.
  private func nanosecondsToSleep(_ driverState: DriverState, mayForward: Bool) -> Int64 {
    let now = cf_now()
    var limit = Int64.max
    state.withLock { state in
      state.scheduler.awaitSigns(until: now &+ patience)
      if let next = state.scheduler.nextDeadline { limit = next > now ? Int64(min(next - now, 1 << 60)) : 0 }
      if state.scheduler.mayCongest { limit = min(limit, 1_000_000) }
      if state.scheduler.needsSpawn {
        limit = min(limit, driverState.nextSpawn > now ? Int64(driverState.nextSpawn - now) : 0)
      }
    }
    // Who submits does not wake the driver: that a worker does not take its tasks is noticed at the next look.
    if !driverState.workers.isEmpty { limit = min(limit, Int64(clamping: patience)) }
    // A worker whose standard error we cannot pass on is looked at now and then.
    if !mayForward, driverState.workers.contains(where: { $0.standardError.isOpen }) {
      limit = min(limit, 20_000_000)
    }
    return limit == .max ? -1 : limit
  }

  // MARK: time

  private func checkTimes(_ driverState: DriverState) {
    let now = cf_now()
    var followUp = FollowUp()
    var overdue: [(worker: WorkerHandle, due: PoolScheduler.Due)] = []
    var late: [ProcessWork] = []
    state.withLock { state in
      guard state.scheduler.hasTimes(now: now) else { return }
      for id in state.scheduler.timedOut(now: now) {
        guard let work = state.scheduler.record(id)?.work, let claim = state.scheduler.cancel(id) else { continue }
        state.scheduler.clearDeadline(worker: claim.worker)
        if takeBackLate(claim, &state, &followUp) { late.append(work) }
      }
      overdue = state.scheduler.takeOverdue(now: now)
      for index in state.scheduler.congested(now: now) { revoke(state.scheduler.unstarted(of: index), &state) }
      dispatch(&state, &followUp)
    }
    act(followUp)
    for (worker, due) in overdue {
      switch due {
      case .kill: worker.kill()
      case .answer: worker.condemn("it marked its task as ended and did not answer")
      case .sign: if worker.isStillSilent() { worker.condemn("it did not take the tasks that it was handed") }
      case .start: if !worker.hasTakenAnything { worker.condemn(Self.neverStarted) }
      }
    }
    for work in late {
      let limit = Duration.nanoseconds(Int64(clamping: work.timeout ?? 0))
      driverState.deliveries.append(.failure(work, TimeoutError(limit: limit, what: work.function.name)))
    }
  }

  /// Takes back a task whose time is up, unless it has just finished: then its answer counts.
  private func takeBackLate(_ claim: PoolScheduler.Claim, _ state: inout State, _ followUp: inout FollowUp) -> Bool {
    switch claim.handle.claims.takeBack(claim.slot) {
    case .stopping: stop(claim, killAt: cf_now() &+ gracePeriod, &state, &followUp)
    case .finished:
      state.scheduler.answerIsDue(worker: claim.worker, by: cf_now() &+ patience)
      return false
    // The worker has announced it, and then changed the word.
    case .revoked: stop(claim, killAt: cf_now(), &state, &followUp)
    }
    return true
  }

  private static var neverStarted: String { "it has not begun to work" }

  // MARK: workers come and go

  private func spawnWorkers(_ driverState: DriverState) {
    var count = state.withLock { state in
      state.scheduler.needsSpawn && cf_now() >= driverState.nextSpawn ? state.scheduler.takeSpawns() : 0
    }
    while count > 0 {
      count -= 1
      do throws(WorkerBlueprint.SpawnFailure) {
        let worker = try blueprint.spawn()
        driverState.failedSpawns = 0
        driverState.workers.append(worker)
        var followUp = FollowUp()
        var mayLive = true
        state.withLock { state in
          // Only a program that is not known to have this library in it.
          let startDue = worker.isSameBuild ? nil : cf_now() &+ patience
          worker.index = state.scheduler.workerSpawned(worker, startDue: startDue)
          mayLive = !state.scheduler.isStopped
          dispatch(&state, &followUp)
        }
        act(followUp)
        if !mayLive { worker.kill() }
      } catch {
        state.withLock { state in
          for _ in 0...count { state.scheduler.spawnFailed() }
        }
        couldNotSpawn(error, driverState)
        return
      }
    }
  }

  private func couldNotSpawn(_ failure: WorkerBlueprint.SpawnFailure, _ driverState: DriverState) {
    driverState.failedSpawns += 1
    // With workers left the pool goes on, more slowly, and tries again; without any it gives up after about a second.
    driverState.nextSpawn = cf_now() &+ (10_000_000 << UInt64(min(driverState.failedSpawns, 7)))
    if driverState.workers.isEmpty, !failure.isTransient || driverState.failedSpawns >= 6 {
      let error = BrokenExecutorError(name: name, reason: "it cannot start a worker: \(failure.description)")
      driverState.deliveries.append(.broken(error))
    }
  }

  private func bury(_ worker: WorkerHandle, _ reason: WorkerTerminatedError.Reason, _ driverState: DriverState) {
    var followUp = FollowUp()
    // Not where we have killed it ourselves for what it did.
    let isFromOutside = reason.isFromOutside && worker.violation == nil
    let death = state.withLock { state in
      let death = state.scheduler.workerGone(worker.index, wasKilled: isFromOutside) {
        worker.claims.hasStarted($0)
      }
      for work in death.lost + death.retried { work.attempts += 1 }
      if !death.isOneTooMany { dispatch(&state, &followUp) }
      return death
    }
    act(followUp)
    for work in death.lost {
      let error = WorkerTerminatedError(
        processIdentifier: worker.processIdentifier, reason: reason, standardErrorTail: worker.standardError.text,
        taskName: work.function.name, attempts: work.attempts, violation: worker.violation)
      driverState.deliveries.append(.failure(work, error))
    }
    if worker.violation == Self.neverStarted {
      let program = blueprint.options.workerExecutable ?? ""
      let text =
        "\(program) has been started as a worker and does not work: options.workerExecutable must be a program that links this library"
      driverState.deliveries.append(.broken(BrokenExecutorError(name: name, reason: text)))
    } else if death.isOneTooMany {
      var text = "its workers ended again and again before they had run anything; the last one \(reason)"
      let tail = worker.standardError.text
      if !tail.isEmpty { text += ", and its standard error ended with:\n\(tail)" }
      driverState.deliveries.append(.broken(BrokenExecutorError(name: name, reason: text)))
    }
  }

  private func closeIfDone(_ driverState: DriverState) {
    guard driverState.workers.isEmpty, driverState.deliveries.isEmpty else { return }
    let isDone = state.withLock { state in
      guard !state.scheduler.isOpen, state.scheduler.isEmpty, state.scheduler.isIdle, !state.isClosed, !isDecoding,
        endings.load(ordering: .acquiring) == 0
      else { return false }
      state.isClosed = true
      return true
    }
    if isDone {
      driver.close()
      driverState.deliveries.append(.closed)
    }
  }
}
#endif
