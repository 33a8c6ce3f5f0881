import Synchronization
import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolWorkerTests {
  @Test func runsAsManyBodiesAtOnceAsItHasWorkersAndNoMore() async throws {
    let pool = ThreadPool(maxWorkers: 3, name: "most")
    let crowd = Crowd()
    let gate = Gate()
    let futures = (0..<40).map { index in
      pool.submit {
        crowd.enter()
        if index < 3 { gate.pass() }
        crowd.leave()
        return index
      }
    }
    await eventually { crowd.now == 3 }
    #expect(pool.statistics == ThreadPool.Statistics(threads: 3, running: 3, queued: 37))
    await eventually { NamedThreads.count(prefix: "most-") == 3 }
    gate.open()
    #expect(try await gather(futures).value == Array(0..<40))
    #expect(crowd.most == 3)
    await pool.shutdown()
  }

  @Test func startsNoThreadBeforeTheFirstTaskAndOneForIt() async throws {
    let pool = ThreadPool(maxWorkers: 8, name: "lazy")
    #expect(pool.statistics.threads == 0)
    await eventually { NamedThreads.count(prefix: "lazy-") == 0 }
    let blockade = await Blockade(pool, 1)
    #expect(pool.statistics == ThreadPool.Statistics(threads: 1, running: 1, queued: 0))
    await eventually { NamedThreads.count(prefix: "lazy-") == 1 }
    try await blockade.end()
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
    await eventually { NamedThreads.count(prefix: "lazy-") == 0 }
  }

  @Test func threadsAreNamedAfterThePoolAndCutToFit() async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "a pool of (many) words")
    let name = try await pool.submit { NamedThreads.current }.value
    #expect(name == "a-pool-of---1")
    await pool.shutdown()
  }

  @Test func threadsLeaveAfterTheKeepAliveAndComeBack() async throws {
    let pool = ThreadPool(maxWorkers: 2, name: "brief", queueLimit: .unlimited, keepAlive: .milliseconds(1))
    let blockade = await Blockade(pool, 2)
    try await blockade.end()
    await eventually { pool.statistics.threads == 0 }
    await eventually { NamedThreads.count(prefix: "brief-") == 0 }
    #expect(try await pool.submit { 5 }.value == 5)
    await pool.shutdown()
  }

  /// Submissions that meet workers at the very end of their keep-alive are not lost.
  @Test(arguments: [0, 20, 200]) func noTaskIsLostAtTheEndOfTheKeepAlive(microseconds: Int) async throws {
    let pool = ThreadPool(
      maxWorkers: 2, name: "edge", queueLimit: .unlimited, keepAlive: .microseconds(microseconds))
    try await onThread {
      for round in 0..<1_500 {
        let a = pool.submit { round }
        let b = pool.submit { try pool.submit { round }.wait() }
        let results = [try a.wait(), try b.wait()]
        #expect(results == [round, round])
      }
      pool.shutdownAndWait()
    }
    #expect(pool.statistics.threads == 0)
  }

  @Test func oneWorkerKeepsTheOrder() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<Int>()
    let blockade = await Blockade(pool, 1)
    let futures = (0..<500).map { index in pool.submit { log.append(index) } }
    try await blockade.end()
    _ = try await gather(futures).value
    #expect(outOfOrder(log.entries, 500) == [])
    await pool.shutdown()
  }

  /// Tiny tasks are taken several at a time; the order must not suffer.
  @Test func oneWorkerKeepsTheOrderOfTinyTasks() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<Int>()
    try await onThread {
      var last: Future<Void>?
      for index in 0..<30_000 { last = pool.submit { log.append(index) } }
      try last!.wait()
      pool.shutdownAndWait()
    }
    #expect(outOfOrder(log.entries, 30_000) == [])
  }

  /// The first entries that are not where they should be.
  /// The submitter and the worker take turns in being faster: batches come about in every way.
  @Test func oneWorkerKeepsTheOrderWhileTasksAreSubmitted() async throws {
    for _ in 0..<3 {
      let pool = ThreadPool(maxWorkers: 1)
      let order = Order()
      var last: Future<Void>?
      for index in 0..<200_000 { last = pool.submit { order.add(index) } }
      try await last?.value
      await pool.shutdown()
      #expect(order.inversions == 0)
    }
  }

  /// Used by one worker's thread only.
  private final class Order: @unchecked Sendable {
    private var last = -1
    private(set) var inversions = 0
    func add(_ index: Int) {
      if index < last { inversions += 1 }
      last = index
    }
  }

  private func outOfOrder(_ entries: [Int], _ count: Int) -> [Int] {
    entries.count == count ? Array(zip(entries, 0...).filter { $0 != $1 }.map(\.0).prefix(5)) : [entries.count]
  }

  @Test func workerRunsWhatItSubmittedInOrder() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<Int>()
    let inner = try await pool.submit { (0..<100).map { index in pool.submit { log.append(index) } } }.value
    _ = try await gather(inner).value
    #expect(log.entries == Array(0..<100))
    await pool.shutdown()
  }

  @Test func higherPrioritiesStartFirst() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<TaskPriority>()
    let blockade = await Blockade(pool, 1)
    let priorities: [TaskPriority] = [.background, .low, .medium, .high, .background, .low, .medium, .high]
    let futures = priorities.map { priority in pool.submit(priority: priority) { log.append(priority) } }
    try await blockade.end()
    _ = try await gather(futures).value
    #expect(log.entries == [.high, .high, .medium, .medium, .low, .low, .background, .background])
    await pool.shutdown()
  }

  @Test func urgentWorkGoesBeforeWhatTheWorkerHasInItsOwnDeque() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<Int>()
    let futures = try await pool.submit {
      let own = (0..<5).map { index in pool.submit { log.append(index) } }
      return own + [pool.submit(priority: .high) { log.append(99) }]
    }.value
    _ = try await gather(futures).value
    #expect(log.entries == [99, 0, 1, 2, 3, 4])
    await pool.shutdown()
  }

  @Test func backgroundWorkIsNotStarvedByUrgentWork() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let log = Log<Bool>()
    let blockade = await Blockade(pool, 1)
    var futures = [pool.submit(priority: .background) { log.append(true) }]
    futures += (0..<100).map { _ in pool.submit(priority: .high) { log.append(false) } }
    try await blockade.end()
    _ = try await gather(futures).value
    #expect(log.entries.firstIndex(of: true)! < 17)
    await pool.shutdown()
  }

  @Test func workThatBreedsForItsOwnWorkerDoesNotStarveOthers() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let isOver = Gate()
    @Sendable func breed() { if !isOver.isOpen { pool.submit { breed() } } }
    let blockade = await Blockade(pool, 1)
    pool.submit { breed() }
    let other = pool.submit(priority: .background) { 1 }
    blockade.lift()
    #expect(try await other.value == 1)
    isOver.open()
    await pool.shutdown()
  }

  @Test func allWorkersTakePartInWhatOneSubmits() async throws {
    let pool = ThreadPool(maxWorkers: 4)
    let gate = Gate()
    let crowd = Crowd()
    pool.submit {
      for _ in 0..<3 {
        pool.submit {
          crowd.enter()
          gate.pass()
        }
      }
      // Holds its thread without telling the pool.
      crowd.enter()
      gate.pass()
    }
    await eventually("the entries of a busy worker's deque stayed there") { crowd.now == 4 }
    gate.open()
    await pool.shutdown()
  }

  @Test func allWorkersTakePartInABatchThatOneTook() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    // Makes the first worker take several at once.
    _ = try await onThread { try gather((0..<20_000).map { index in pool.submit { index } }).wait(timeout: nil) }
    let crowd = Crowd()
    let gate = Gate()
    let futures = (0..<200).map { index in
      pool.submit {
        if index == 0 || index == 199 {
          crowd.enter()
          gate.pass()
        }
      }
    }
    await eventually { crowd.now == 2 }
    gate.open()
    _ = try await gather(futures).value
    await pool.shutdown()
  }

  @Test func cancelledTaskNeverStarts() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let ran = Tally()
    let blockade = await Blockade(pool, 1)
    let futures = (0..<10).map { _ in pool.submit { ran.add() } }
    for future in futures.dropFirst() { #expect(future.cancel()) }
    try await blockade.end()
    await pool.shutdown()
    #expect(ran.count == 1)
    #expect(futures[0].state == .finished)
  }

  @Test func bodyAndItsCapturesAreReleasedBeforeTheCallbacksRun() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let live = LiveCount()
    let atCallback = Log<Int>()
    let blockade = await Blockade(pool, 1)
    let finished = pool.submit { [probe = live.probe()] in probe.touch() }
    finished.addDoneCallback { _ in atCallback.append(live.count) }
    try await blockade.end()
    try await finished.value
    await eventually { atCallback.count == 1 }

    let failed = await Blockade(pool, 1)
    let failing = pool.submit { [probe = live.probe()] in
      probe.touch()
      throw TestError()
    }
    failing.addDoneCallback { _ in atCallback.append(live.count) }
    let cancelled = pool.submit { [probe = live.probe()] in probe.touch() }
    cancelled.addDoneCallback { _ in atCallback.append(live.count - 1) }
    cancelled.cancel()
    try await failed.end()
    await #expect(throws: TestError.self) { try await failing.value }
    await pool.shutdown()
    #expect(atCallback.entries == [0, 0, 0])
    #expect(live.count == 0)
  }

  @Test func descriptionTellsNameAndCounts() async throws {
    let pool = ThreadPool(maxWorkers: 2, name: "talker")
    let blockade = await Blockade(pool, 2)
    pool.submit {}
    #expect(String(describing: pool) == "ThreadPool(talker: 2 of 2 running, 1 queued)")
    try await blockade.end()
    await pool.shutdown()
  }

  @Test func sharedPoolRunsWorkOfItsOwnThreads() async throws {
    let name = try await ThreadPool.shared.run { NamedThreads.current }
    #expect(name.hasPrefix("shared-"))
    #expect(ThreadPool.shared === ThreadPool.shared)
    #expect(ThreadPool.shared.maxWorkers == ThreadPool.defaultMaxWorkers)
    #expect((5...32).contains(ThreadPool.defaultMaxWorkers))
  }

  @Test func runsProcessTasks() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    #expect(try await pool.submit(Doubling(value: 21)).value == 42)
    #expect(try await pool.submit(AsyncDoubling(value: 4)).value == 8)
    await #expect(throws: TestError(7)) { try await pool.submit(Doubling(value: -1)).value }
    await pool.shutdown()
  }

  private struct Doubling: ProcessTask {
    var value: Int
    func run() throws -> Int { if value < 0 { throw TestError(7) } else { value * 2 } }
  }
  private struct AsyncDoubling: AsyncProcessTask {
    var value: Int
    func run() async throws -> Int { value * 2 }
  }
}

@Suite struct ThreadPoolCancellationTests {
  @Test func runningBodySeesThatItWasAskedToStop() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (running, asked) = (Gate(), Gate())
    let future = pool.submit { () throws -> Int in
      #expect(!CurrentWork.isCancelled)
      running.open()
      asked.pass()
      try CurrentWork.checkCancellation()
      return 1
    }
    await running.wait()
    #expect(!future.cancel(), "it is running")
    #expect(future.state == .running)
    asked.open()
    await #expect(throws: CancellationError.self) { try await future.value }
    #expect(future.isCancelled, "it has stopped because it was asked to")
    #expect(try await pool.submit { CurrentWork.isCancelled }.value == false)
    #expect(!CurrentWork.isCancelled)
    await pool.shutdown()
  }

  @Test func bodyThatIgnoresTheRequestFinishes() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (running, asked) = (Gate(), Gate())
    let future = pool.submit {
      running.open()
      asked.pass()
      return 3
    }
    await running.wait()
    future.cancel()
    asked.open()
    #expect(try await future.value == 3)
    await pool.shutdown()
  }

  @Test func workInsideAWaitHasItsOwnCancellation() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (running, asked) = (Gate(), Gate())
    let outer = pool.submit { () -> [Bool] in
      running.open()
      asked.pass()
      let before = CurrentWork.isCancelled
      let inside = try pool.submit { CurrentWork.isCancelled }.wait()
      return [before, inside, CurrentWork.isCancelled]
    }
    await running.wait()
    outer.cancel()
    asked.open()
    #expect(try await outer.value == [true, false, true])
    await pool.shutdown()
  }

  @Test func workThatACancelledTaskRunsInsideAWaitIsNotCancelled() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (running, asked) = (Gate(), Gate())
    @Sendable func block() throws -> [Bool] {
      asked.pass()
      return [CurrentWork.isCancelled, try pool.submit { CurrentWork.isCancelled }.wait(), CurrentWork.isCancelled]
    }
    let task = Task(executorPreference: pool.taskExecutor) {
      running.open()
      return try block()
    }
    await running.wait()
    task.cancel()
    asked.open()
    #expect(try await task.value == [true, false, true])
    await pool.shutdown()
  }

  @Test func forkedWorkSeesTheCancellationOfWhatForkedIt() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let (running, asked) = (Gate(), Gate())
    let seen = Log<Bool>()
    let future = pool.submit {
      _ = pool.join(
        {
          running.open()
          // `b` is stolen meanwhile.
          asked.pass()
          seen.append(CurrentWork.isCancelled)
        },
        {
          asked.pass()
          seen.append(CurrentWork.isCancelled)
        })
    }
    await running.wait()
    future.cancel()
    asked.open()
    try await future.value
    #expect(seen.entries == [true, true])
    await pool.shutdown()
  }
}
