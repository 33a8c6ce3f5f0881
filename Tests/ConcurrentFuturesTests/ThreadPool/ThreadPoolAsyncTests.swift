import Synchronization
import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolAsyncBodyTests {
  @Test func asynchronousBodyRunsOnThePoolsThreads() async throws {
    let pool = ThreadPool(maxWorkers: 2, name: "async")
    let names = try await pool.submit { () async -> [String] in
      let before = NamedThreads.current
      await Task.yield()
      let nested = await withTaskGroup(of: String.self) { group in
        group.addTask { NamedThreads.current }
        return await group.next()!
      }
      return [before, NamedThreads.current, nested]
    }.value
    // Task.yield goes through the preferred executor or back to it.
    #expect(names.allSatisfy { $0.hasPrefix("async-") }, "\(names)")
    await pool.shutdown()
  }

  @Test func suspendedBodiesHoldNoThread() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let gate = Gate()
    let suspended = Tally()
    let futures = (0..<50).map { index in
      pool.submit { () async -> Int in
        suspended.add()
        await gate.wait()
        return index
      }
    }
    await eventually { suspended.count == 50 }
    #expect(try await pool.submit { 1 }.value == 1)
    #expect(futures.allSatisfy { $0.state == .running })
    gate.open()
    #expect(try await gather(futures).value == Array(0..<50))
    await pool.shutdown()
  }

  @Test func asynchronousBodySeesTaskLocalsAndItsPriority() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let seen = try await Trace.$id.withValue(7) {
      pool.submit(priority: .low) { () async -> (Int, TaskPriority) in (Trace.id, Task.basePriority ?? .background) }
    }.value
    #expect(seen == (7, .low))
    await pool.shutdown()
  }

  @Test func cancelledBeforeItStartsItNeverRuns() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let ran = Tally()
    let blockade = await Blockade(pool, 1)
    let future = pool.submit { () async in _ = ran.add() }
    #expect(future.cancel())
    await #expect(throws: CancellationError.self) { try await future.value }
    try await blockade.end()
    await pool.shutdown()
    #expect(ran.count == 0)
  }

  @Test func cancellingARunningBodyCancelsItsTask() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (running, asked) = (Gate(), Gate())
    let future = pool.submit { () async throws -> Int in
      running.open()
      await asked.wait()
      #expect(Task.isCancelled)
      #expect(CurrentWork.isCancelled)
      try Task.checkCancellation()
      return 1
    }
    await running.wait()
    #expect(!future.cancel())
    asked.open()
    await #expect(throws: CancellationError.self) { try await future.value }
    #expect(future.isCancelled)
    await pool.shutdown()
  }

  @Test func errorOfAnAsynchronousBodyIsTheFutures() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    await #expect(throws: TestError(4)) { try await pool.submit { () async throws in throw TestError(4) }.value }
    await pool.shutdown()
  }
}

@Suite struct ThreadPoolRunTests {
  /// A call that is alone is looked for by its own thread; beside others it is suspended at once.
  private func beside(_ alone: Bool, _ pool: ThreadPool) { if !alone { _ = pool.core.briefWaits.begin() } }

  @Test(arguments: [true, false])
  func runHopsToThePoolAndBack(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "hop")
    beside(alone, pool)
    let inside = try await pool.run { NamedThreads.current }
    #expect(inside == "hop-1")
    #expect(NamedThreads.current != "hop-1")
    await pool.shutdown()
  }

  @Test(arguments: [true, false])
  func bodySeesTaskLocalsPriorityAndCancellation(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    beside(alone, pool)
    let (running, asked) = (Gate(), Gate())
    let task = Task(priority: .low) {
      try await Trace.$id.withValue(3) {
        try await pool.run { () -> (Int, TaskPriority, Bool, Bool, Bool) in
          let before = CurrentWork.isCancelled
          running.open()
          asked.pass()
          return (Trace.id, Task.basePriority ?? .high, before, Task.isCancelled, CurrentWork.isCancelled)
        }
      }
    }
    await running.wait()
    task.cancel()
    asked.open()
    // Cancelled while it ran: what it returns counts.
    let seen = try await task.value
    #expect(seen == (3, .low, false, true, true))
    await pool.shutdown()
  }

  /// Whoever waits for the calling Task may have raised its priority.
  @Test(arguments: [true, false])
  func bodyHasThePriorityThatItsTaskHasByNow(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    beside(alone, pool)
    let task = Task(priority: .background) {
      while Task.currentPriority < .high { await Task.yield() }
      return try await pool.run { Task.currentPriority }
    }
    let waiting = Task(priority: .high) { try await task.value }
    #expect(try await waiting.value >= .high)
    await pool.shutdown()
  }

  @Test(arguments: [true, false])
  func cancelledBeforeItStartsItThrowsAtOnceThoughAllWorkersAreBlocked(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    beside(alone, pool)
    let blockade = await Blockade(pool, 1)
    let ran = Tally()
    let tasks = (0..<20).map { _ in Task { try await pool.run { _ = ran.add() } } }
    await eventually { pool.statistics.queued == 20 }
    for task in tasks { task.cancel() }
    for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
    let already = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      try await pool.run { _ = ran.add() }
    }
    await #expect(throws: CancellationError.self) { try await already.value }
    try await blockade.end()
    await pool.shutdown()
    #expect(ran.count == 0)
  }

  /// Cancellation meets the start: the body runs or it does not, and the call tells the truth about it.
  @Test(arguments: [true, false])
  func cancellationThatRacesWithTheStartIsConsistent(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 2)
    beside(alone, pool)
    let (ran, returned) = (Tally(), Tally())
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<2_000 {
        group.addTask {
          let task = Task { try await pool.run { _ = ran.add() } }
          if index.isMultiple(of: 3) { await Task.yield() }
          task.cancel()
          if case .success = await task.result { returned.add() }
        }
      }
    }
    #expect(ran.count == returned.count)
    await pool.shutdown()
  }

  @Test(arguments: [true, false])
  func errorsAndTheEndOfThePoolAreThrown(alone: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    beside(alone, pool)
    await #expect(throws: TestError(2)) { try await pool.run { throw TestError(2) } }
    await pool.shutdown()
    await #expect(throws: ExecutorShutDownError.self) { try await pool.run { 1 } }
  }

  /// Nobody is woken for a call that is looked for, as long as the worker may come by itself.
  @Test func workerThatIsBlockedDoesNotHoldACallUp() async throws {
    let pool = ThreadPool(maxWorkers: 2, queueLimit: .unlimited, keepAlive: .seconds(3600))
    let blockade = await Blockade(pool, 1)
    for _ in 0..<300 {
      // Also when the other worker has gone to sleep.
      let value = try await pool.run { 1 }
      #expect(value == 1)
    }
    await eventually { pool.core.withState { $0.idle.count == 1 } }
    #expect(try await pool.run { 2 } == 2)
    try await blockade.end()
    await pool.shutdown()
  }

  @Test func runWorksInsideAnAsynchronousBodyOfTheSamePool() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    #expect(try await pool.submit { () async throws in try await pool.run { 1 } + 1 }.value == 2)
    await pool.shutdown()
  }

  @Test func shutdownWithCancelPendingThrowsCancellationFromWaitingCalls() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let call = Task { try await pool.run { 1 } }
    await eventually { pool.statistics.queued == 1 }
    let shutdown = Task { await pool.shutdown(cancelPending: true) }
    await #expect(throws: CancellationError.self) { try await call.value }
    try await blockade.end()
    await shutdown.value
  }

  @Test func withThreadPoolGivesTheResultWaitsAndRethrows() async throws {
    let ran = Tally()
    let kept = await withThreadPool(maxWorkers: 2) { pool in
      for _ in 0..<100 { pool.submit { ran.add() } }
      return pool
    }
    #expect(ran.count == 100)
    #expect(kept.statistics.threads == 0)
    await #expect(throws: ExecutorShutDownError.self) { try await kept.submit { 1 }.value }
    await #expect(throws: TestError(1)) {
      try await withThreadPool { pool in
        pool.submit { ran.add() }
        throw TestError(1)
      }
    }
    #expect(ran.count == 101)
  }

  private actor Owner {
    var count = 0
    func use() async throws {
      try await withThreadPool(maxWorkers: 1) { pool in
        count += try await pool.submit { 1 }.value
        count += try await pool.run { 1 }
      }
      count += 1
    }
  }

  @Test func withThreadPoolRunsItsBodyInTheCallersIsolation() async throws {
    let owner = Owner()
    try await owner.use()
    #expect(await owner.count == 3)
    try await useOnMainActor()
  }

  @MainActor private func useOnMainActor() async throws {
    var count = 0
    try await withThreadPool(maxWorkers: 1) { pool in
      MainActor.assertIsolated()
      count += try await pool.run { 1 }
      MainActor.assertIsolated()
      count += 1
    }
    #expect(count == 2)
  }
}

@Suite struct ThreadPoolExecutorTests {
  @Test func tasksThatPreferThePoolRunOnItsThreadsAndMayBlock() async throws {
    let pool = ThreadPool(maxWorkers: 4, name: "prefer")
    let (crowd, gate) = (Crowd(), Gate())
    @Sendable func block() {
      crowd.enter()
      gate.pass()
    }
    let tasks = (0..<2).map { _ in
      Task(executorPreference: pool.taskExecutor) {
        block()
        return NamedThreads.current
      }
    }
    async let group = withTaskExecutorPreference(pool.taskExecutor) {
      await withTaskGroup(of: String.self) { group in
        for _ in 0..<2 {
          group.addTask {
            block()
            return NamedThreads.current
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
    }
    await eventually { crowd.now == 4 }
    gate.open()
    var names = await group
    for task in tasks { names.append(await task.value) }
    #expect(Set(names).count == 4)
    #expect(names.allSatisfy { $0.hasPrefix("prefer-") })
    await pool.shutdown()
  }

  @Test func jobsThatComeAfterTheEndStillRun() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let gate = Gate()
    let started = Gate()
    let task = Task(executorPreference: pool.taskExecutor) {
      started.open()
      await gate.wait()
      return 5
    }
    await started.wait()
    await pool.shutdown()
    gate.open()
    #expect(await task.value == 5)
    #expect(await Task(executorPreference: pool.taskExecutor) { 6 }.value == 6)
  }

  @Test func jobsThatAreQueuedAtTheEndRunOnThePool() async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "drain")
    let blockade = await Blockade(pool, 1)
    let tasks = (0..<10).map { _ in Task(executorPreference: pool.taskExecutor) { NamedThreads.current } }
    await eventually { pool.statistics.queued == 10 }
    let shutdown = Task { await pool.shutdown(cancelPending: true) }
    try await blockade.end()
    for task in tasks { #expect(await task.value == "drain-1") }
    await shutdown.value
  }

  private actor Account {
    let executor: any SerialExecutor
    var entries: [Int] = []
    var inside = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    init(_ pool: ThreadPool) { executor = pool.makeSerialExecutor() }

    func add(_ value: Int) -> String {
      inside += 1
      #expect(inside == 1)
      entries.append(value)
      inside -= 1
      return NamedThreads.current
    }
    func block(_ started: Gate, _ gate: Gate) {
      started.open()
      gate.pass()
    }
  }

  @Test func actorOnThePoolRunsOnePieceAtATimeOnItsThreads() async throws {
    let pool = ThreadPool(maxWorkers: 3, name: "actor")
    let account = Account(pool)
    let names = await withTaskGroup(of: String.self) { group in
      for value in 0..<500 { group.addTask { await account.add(value) } }
      return await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(names.allSatisfy { $0.hasPrefix("actor-") }, "\(names)")
    #expect(await account.entries.sorted() == Array(0..<500))
    await pool.shutdown()
  }

  @Test func callsOfAnActorThatBlocksRunInTheirOrder() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let account = Account(pool)
    let (started, gate) = (Gate(), Gate())
    let blocking = Task { await account.block(started, gate) }
    await started.wait()
    var tasks: [Task<Void, Never>] = []
    for value in 0..<20 {
      let entered = Gate()
      tasks.append(
        Task.immediate {
          entered.open()
          _ = await account.add(value)
        })
      await entered.wait()
    }
    #expect(try await pool.submit { 1 }.value == 1, "the others are free")
    gate.open()
    await blocking.value
    for task in tasks { await task.value }
    #expect(await account.entries == Array(0..<20))
    await pool.shutdown()
  }

  @Test func actorOutlivesItsPool() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let account = Account(pool)
    _ = await account.add(0)
    await pool.shutdown()
    await withTaskGroup(of: Void.self) { group in
      for value in 1..<200 { group.addTask { _ = await account.add(value) } }
    }
    #expect(await account.entries.sorted() == Array(0..<200))
  }
}
