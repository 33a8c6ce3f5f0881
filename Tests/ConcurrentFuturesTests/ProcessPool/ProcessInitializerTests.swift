#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

private struct NoLicence: Error, Codable, Equatable { var seat: Int }

private struct RefusedInitializer: ProcessTask {
  let seat: Int
  func run() throws -> Int { throw NoLicence(seat: seat) }
}

private struct UnencodableInitializer: ProcessTask {
  init() {}
  init(from decoder: any Decoder) throws {}
  func encode(to encoder: any Encoder) throws { throw NoLicence(seat: 1) }
  func run() -> Int { 0 }
}

private struct UndecodableInitializer: ProcessTask {
  init() {}
  init(from decoder: any Decoder) throws { throw NoLicence(seat: 2) }
  func encode(to encoder: any Encoder) throws {}
  func run() -> Int { 0 }
}

extension ProcessPools {
  /// What a pool says when its workers do not come up, and what `start()` waits for.
  @Suite struct Starting {
    /// What a submission and `start()` throw, which is the same.
    private func whatBroke(_ pool: ProcessPool) async -> BrokenExecutorError? {
      let starting = await #expect(throws: BrokenExecutorError.self) { try await pool.start() }
      let submitted = await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      #expect(starting?.description == submitted?.description)
      #expect(starting?.name == "test")
      return starting
    }

    @Test func anInitializerThatCannotBeEncodedBreaksThePoolWithoutAWorker() async throws {
      let spawns = Tally()
      let pool = makePool(initializer: UnencodableInitializer()) {
        spawns.add()
        return 0
      }
      let error = await whatBroke(pool)
      #expect(error?.reason.contains("its initializer cannot travel") == true)
      #expect(error?.underlyingError as? NoLicence == NoLicence(seat: 1))
      await pool.shutdown()
      #expect(spawns.count == 0)
    }

    @Test func anInitializerThatCannotBeDecodedBreaksThePool() async throws {
      let pool = makePool(initializer: UndecodableInitializer())
      let error = await whatBroke(pool)
      #expect(error?.reason.contains("the initializer of its workers failed") == true)
      #expect(error?.reason.contains("NoLicence(seat: 2)") == true)
      #expect((error?.underlyingError as? TaskEncodingError)?.subject == .argument)
      await pool.shutdown()
    }

    @Test(arguments: [1, 3])
    func startThrowsWhenTheInitializerThrows(workers: Int) async throws {
      let pool = makePool(workers: workers, initializer: RefusedInitializer(seat: 3))
      let error = await whatBroke(pool)
      #expect(error?.reason.contains("the initializer of its workers failed") == true)
      #expect(error?.underlyingError as? NoLicence == NoLicence(seat: 3), "the very error that it threw")
      await pool.shutdown()
    }

    @Test func startThrowsWhenTheInitializerEndsItsWorker() async throws {
      let pool = makePool(initializer: DyingInitializer())
      let error = await whatBroke(pool)
      #expect(error?.reason.contains("exited with code 9") == true)
      #expect(error?.underlyingError == nil)
      await pool.shutdown()
    }

    @Test(arguments: [ENOENT, EAGAIN])
    func startThrowsWhenWorkersCannotStart(_ number: Int32) async throws {
      let pool = makePool { number }
      let error = await whatBroke(pool)
      #expect(error?.reason.contains("it cannot start a worker") == true)
      #expect(error?.reason.contains(String(cString: strerror(number))) == true)
      await pool.shutdown()
    }

    @Test(arguments: [true, false])
    func startThrowsAfterAShutdown(wasUsed: Bool) async throws {
      let pool = makePool()
      if wasUsed { try await #expect(pool.submit(1) { $0 }.value == 1) }
      await pool.shutdown()
      let error = await #expect(throws: ExecutorShutDownError.self) { try await pool.start() }
      #expect(error?.name == "test")
      #expect(pool.workerProcessIdentifiers.isEmpty)
    }

    @Test func startReturnsWhenAllWorkersAreUpAlready() async throws {
      try await withPool(workers: 2) { pool in
        try await pool.start()
        let processes = pool.workerProcessIdentifiers
        #expect(pool.core.start().isDone)
        try await WorkerBlockade(pool, 2).end()
        try await pool.start()
        #expect(pool.workerProcessIdentifiers == processes)
      }
    }

    @Test func startBringsUpWhatIsMissing() async throws {
      try await withPool(workers: 3) { pool in
        let blockade = try await WorkerBlockade(pool)
        #expect(pool.workerProcessIdentifiers.count == 1)
        try await pool.start()
        #expect(pool.workerProcessIdentifiers.count == 3)
        try await blockade.end()
      }
    }

    /// A worker that is asked to stop is up, but not for long.
    @Test func startWaitsForWhoComesAfterAWorkerThatLeaves() async throws {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .seconds(patience)
      try await withPool(workers: 1, options: options) { pool in
        let (begun, gate) = try (SharedGate(), SharedGate())
        let stubborn = pool.submit(begun, gate) { begun, gate -> Bool in
          begun.open()
          return gate.wait()
        }
        await begun.opened()
        await eventually { stubborn.isRunning }
        let leaving = pool.workerProcessIdentifiers
        #expect(stubborn.cancel())
        try await pool.start()
        #expect(Set(pool.workerProcessIdentifiers).subtracting(leaving).count == 1)
        gate.open()
      }
    }

    @Test func aShutdownEndsAStartThatIsUnderWay() async throws {
      let (failing, goOn) = (Gate(), Gate())
      let pool = makePool {
        failing.open()
        goOn.pass()
        return EAGAIN
      }
      // The pool has nothing to do, and no worker will ever come up.
      let start = pool.core.start()
      await failing.wait()
      async let shutdown: Void = pool.shutdown()
      await eventually { start.isDone }
      goOn.open()
      await shutdown
      #expect(start.errorIfDone is ExecutorShutDownError)
    }
  }
}
#endif
