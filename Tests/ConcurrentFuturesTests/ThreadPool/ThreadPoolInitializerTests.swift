import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolInitializerTests {
  @Test func initializerRunsOnceOnEachThreadBeforeItsWork() async throws {
    let names = Log<String>()
    // No thread leaves meanwhile, however slow the machine is: its successor would run the initializer again.
    let pool = ThreadPool(maxWorkers: 3, name: "init", queueLimit: .unlimited, keepAlive: .seconds(3600)) {
      names.append(NamedThreads.current)
    }
    let blockade = await Blockade(pool, 3)
    #expect(Set(names.entries) == ["init-1", "init-2", "init-3"])
    try await blockade.end()
    for _ in 0..<50 { try await pool.submit {}.value }
    #expect(names.count == 3)
    await pool.shutdown()
  }

  @Test func failingInitializerFailsQueuedAndLaterWork() async throws {
    let gate = Gate()
    let ran = Tally()
    let pool = ThreadPool(maxWorkers: 1, name: "fragile") {
      gate.pass()
      throw TestError(3)
    }
    let queued = (0..<5).map { _ in pool.submit { _ = ran.add() } }
    let asynchronous = pool.submit { () async in _ = ran.add() }
    let call = Task { try await pool.run { _ = ran.add() } }
    await eventually { pool.statistics.queued == 7 }
    gate.open()
    for future in queued + [asynchronous] {
      let error = await #expect(throws: BrokenExecutorError.self) { try await future.value }
      #expect(error?.name == "fragile")
      #expect(error?.underlyingError as? TestError == TestError(3))
    }
    await #expect(throws: BrokenExecutorError.self) { try await call.value }
    let error = await #expect(throws: BrokenExecutorError.self) { try await pool.submit { 1 }.value }
    // The cause and the remedy.
    let text = error.map { "\($0)" } ?? ""
    #expect(text.contains("fragile") && text.contains("initializer") && text.contains("TestError"))
    #expect(text.contains("make a new pool"))
    await #expect(throws: BrokenExecutorError.self) { try await pool.submit { () async in 1 }.value }
    await #expect(throws: BrokenExecutorError.self) { try await pool.run { 1 } }
    await #expect(throws: BrokenExecutorError.self) { try await pool.map([1]) { $0 }.value }
    #expect(ran.count == 0)
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
  }

  @Test func callbacksOfWhatABrokenPoolFailsMayWaitForEachOther() async throws {
    let gate = Gate()
    let pool = ThreadPool(maxWorkers: 1) {
      gate.pass()
      throw TestError()
    }
    let queued = (0..<4).map { index in pool.submit { index } }
    let called = callbacksThatWaitForEachOther(queued)
    gate.open()
    await eventually("a callback waits for ever") { called.count == 4 }
    await pool.shutdown()
  }

  @Test func tasksWhosePreferredPoolIsBrokenStillEnd() async throws {
    let gate = Gate()
    let pool = ThreadPool(maxWorkers: 1) {
      gate.pass()
      throw TestError()
    }
    let tasks = (0..<5).map { index in Task(executorPreference: pool.taskExecutor) { index } }
    await eventually { pool.statistics.queued == 5 }
    gate.open()
    for (index, task) in tasks.enumerated() { #expect(await task.value == index) }
    await pool.shutdown()
  }

  @Test func shutdownWhileAnInitializerFailsReturns() async throws {
    for _ in 0..<50 {
      let gate = Gate()
      let pool = ThreadPool(maxWorkers: 2) {
        gate.pass()
        throw TestError()
      }
      let futures = (0..<4).map { index in pool.submit { index } }
      async let first: Void = pool.shutdown()
      gate.open()
      await first
      await pool.shutdown(cancelPending: true)
      for future in futures { #expect(future.isDone) }
      #expect(pool.statistics.threads == 0)
    }
  }

  /// The first worker is fine and busy when the second breaks the pool.
  @Test func whatABusyWorkerHasSubmittedFailsWithItsPool() async throws {
    let initialized = Tally()
    let pool = ThreadPool(maxWorkers: 2) { if initialized.add() > 1 { throw TestError() } }
    let (submitted, gate) = (Gate(), Gate())
    let ran = Tally()
    let outer = pool.submit { () -> [Future<Void>] in
      gate.pass()
      return (0..<3).map { _ in pool.submit { _ = ran.add() } }
    }
    await eventually { outer.isRunning }
    let second = pool.submit {}
    await #expect(throws: BrokenExecutorError.self) { try await second.value }
    submitted.open()
    gate.open()
    for future in try await outer.value {
      await #expect(throws: BrokenExecutorError.self) { try await future.value }
    }
    #expect(ran.count == 0)
    await pool.shutdown()
  }
}
