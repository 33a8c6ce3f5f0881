import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolShutdownTests {
  @Test func shutdownDoesWhatIsQueuedAndEndsTheThreads() async throws {
    let pool = ThreadPool(maxWorkers: 2, name: "drains")
    let blockade = await Blockade(pool, 2)
    let futures = (0..<100).map { index in pool.submit { index } }
    let shutdown = Task { await pool.shutdown() }
    await eventually { pool.core.hints.isEnding }
    #expect(!futures[0].isDone)
    blockade.lift()
    await shutdown.value
    #expect(futures.allSatisfy { $0.state == .finished })
    #expect(pool.statistics == ThreadPool.Statistics(threads: 0, running: 0, queued: 0))
    await eventually { NamedThreads.count(prefix: "drains-") == 0 }
    let error = await #expect(throws: ExecutorShutDownError.self) { try await pool.submit { 1 }.value }
    #expect(error?.name == "drains")
    #expect(error.map { "\($0)".contains("make a new pool") } == true)
    await #expect(throws: ExecutorShutDownError.self) { try await pool.submit { () async in 1 }.value }
    await #expect(throws: ExecutorShutDownError.self) { try await pool.map([1]) { $0 }.value }
  }

  @Test func poolWithoutThreadsEndsAtOnce() async throws {
    await ThreadPool().shutdown()
    try await onThread { ThreadPool().shutdownAndWait(cancelPending: true) }
  }

  /// The worker that was started for the only task comes when the pool is ending already.
  @Test func workerThatComesWhenThePoolEndsDoesItsWork() async throws {
    try await onThread {
      for _ in 0..<500 {
        let pool = ThreadPool(maxWorkers: 2)
        let future = pool.submit { 1 }
        pool.shutdownAndWait()
        #expect(future.state == .finished)
      }
    }
  }

  @Test func cancelPendingCancelsWhatHasNotStarted() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let ran = Tally()
    let queued = (0..<50).map { _ in pool.submit { _ = ran.add() } }
    let asynchronous = pool.submit { () async in _ = ran.add() }
    await eventually { pool.statistics.queued == 51 }
    let shutdown = Task { await pool.shutdown(cancelPending: true) }
    for future in queued { await #expect(throws: CancellationError.self) { try await future.value } }
    try await blockade.end()
    await shutdown.value
    #expect(queued.allSatisfy { $0.isCancelled })
    #expect(asynchronous.isCancelled)
    #expect(ran.count == 0)
  }

  @Test func callbacksOfWhatIsCancelledTogetherMayWaitForEachOther() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let queued = (0..<4).map { index in pool.submit { index } }
    let called = callbacksThatWaitForEachOther(queued)
    try await onThread { pool.core.beginShutdown(cancelPending: true) }
    #expect(called.count == 4)
    try await blockade.end()
    await pool.shutdown()
  }

  @Test func cancelPendingReachesTheDequesOfBusyWorkers() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (submitted, gate) = (Gate(), Gate())
    let made = Log<Future<Void>>()
    let ran = Tally()
    pool.submit {
      for _ in 0..<10 { made.append(pool.submit { _ = ran.add() }) }
      submitted.open()
      gate.pass()
      // Cancelled before: it does not run inside this wait either.
      #expect(throws: CancellationError.self) { try made.entries[0].wait() }
      #expect(throws: ExecutorShutDownError.self) { try pool.submit { 1 }.wait() }
    }
    await submitted.wait()
    let shutdown = Task { await pool.shutdown(cancelPending: true) }
    for future in made.entries { await #expect(throws: CancellationError.self) { try await future.value } }
    gate.open()
    await shutdown.value
    #expect(ran.count == 0)
  }

  @Test func drainingFirstAndCancellingLaterIsAllowed() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let queued = pool.submit { 1 }
    let first = Task { await pool.shutdown() }
    await eventually { pool.core.hints.isEnding }
    #expect(queued.state == .pending)
    let second = Task { await pool.shutdown(cancelPending: true) }
    await #expect(throws: CancellationError.self) { try await queued.value }
    try await blockade.end()
    await first.value
    await second.value
    await pool.shutdown()
  }

  @Test func manyMayShutDownAtOnce() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let ran = Tally()
    for _ in 0..<200 { pool.submit { ran.add() } }
    async let threads: [Void] = onThreads(4) { _ in pool.shutdownAndWait() }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { await pool.shutdown() } }
    }
    _ = try await threads
    #expect(ran.count == 200)
    #expect(pool.statistics.threads == 0)
  }

  @Test(arguments: [1, 2]) func taskMayShutDownItsOwnPool(maxWorkers: Int) async throws {
    let pool = ThreadPool(maxWorkers: maxWorkers)
    let ran = Tally()
    let state = try await pool.submit { () -> [Int] in
      for _ in 0..<20 { pool.submit { ran.add() } }
      pool.shutdownAndWait()
      let atTheEnd = ran.count
      // Nested, and once more: the same end.
      pool.shutdownAndWait()
      #expect(throws: ExecutorShutDownError.self) { try pool.submit { 1 }.wait() }
      return [atTheEnd, pool.statistics.threads]
    }.value
    #expect(state == [20, 1], "the task is told of the end when all but itself is done")
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
  }

  @Test func severalTasksMayShutDownTheirPoolAtOnce() async throws {
    let pool = ThreadPool(maxWorkers: 3)
    let futures = (0..<6).map { _ in pool.submit { pool.shutdownAndWait() } }
    await pool.shutdown()
    for future in futures { #expect(future.isDone) }
  }

  @Test func callbackOnAWorkerMayShutDownItsPool() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let (gate, done) = (Gate(), Gate())
    pool.submit { gate.pass() }.addDoneCallback { _ in
      pool.shutdownAndWait()
      done.open()
    }
    let other = pool.submit { 1 }
    gate.open()
    await done.wait()
    #expect(try await other.value == 1)
    await pool.shutdown()
  }

  @Test func asynchronousBodyMayShutDownItsPool() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let ran = Tally()
    @Sendable func block() { pool.shutdownAndWait() }
    let body = pool.submit { () async -> Int in
      for _ in 0..<10 { pool.submit { ran.add() } }
      async let first: Void = pool.shutdown()
      async let second: Void = pool.shutdown()
      _ = await (first, second)
      block()
      return ran.count
    }
    #expect(try await body.value == 10)
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
  }

  @Test func taskThatOutlivesItsBodyMayShutThePoolDown() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let gate = Gate()
    let left = try await pool.submit { () async in
      Task {
        await gate.wait()
        await pool.shutdown()
      }
    }.value
    gate.open()
    await left.value
    #expect(pool.statistics.threads == 0)
  }

  @Test func taskOnThePoolsExecutorMayShutItDown() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    @Sendable func block() { pool.shutdownAndWait() }
    await Task(executorPreference: pool.taskExecutor) { await pool.shutdown() }.value
    #expect(pool.statistics.threads == 0)
    let other = ThreadPool(maxWorkers: 1)
    try await other.run { other.shutdownAndWait() }
    await other.shutdown()
  }

  @Test func shutdownWaitsToTheEndInACancelledTask() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let ended = Tally()
    let task = Task {
      await pool.shutdown()
      ended.add()
    }
    task.cancel()
    await eventually { pool.core.hints.isEnding }
    #expect(ended.count == 0)
    try await blockade.end()
    await task.value
    #expect(ended.count == 1)
  }

  @Test func workersThatWaitWhenThePoolEndsGoOn() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let promise = Future<Int>()
    let waiting = (0..<10).map { _ in pool.submit { try promise.wait() } }
    let last = pool.submit { promise.complete(with: .success(4)) }
    await pool.shutdown()
    #expect(try await gather(waiting).value == Array(repeating: 4, count: 10))
    #expect(last.isDone)
  }

  @Test func droppingTheLastReferenceDrainsQuietly() async throws {
    let ran = Tally()
    let live = LiveCount()
    var futures: [Future<Void>] = []
    do {
      let pool = ThreadPool(maxWorkers: 2, name: "dropped") { [probe = live.probe()] in probe.touch() }
      let blockade = await Blockade(pool, 2)
      futures = (0..<100).map { _ in pool.submit { _ = ran.add() } }
      futures.append(pool.submit { () async in _ = ran.add() })
      blockade.lift()
    }
    for future in futures { try await future.value }
    #expect(ran.count == 101)
    await eventually { NamedThreads.count(prefix: "dropped-") == 0 }
    await eventually("the pool is still there") { live.count == 0 }
  }

  @Test func poolDroppedByItsOwnTaskEnds() async throws {
    let live = LiveCount()
    for _ in 0..<50 {
      let pool = ThreadPool(maxWorkers: 1) { [probe = live.probe()] in probe.touch() }
      try await pool.submit { [pool] in _ = pool.submit {} }.value
    }
    await eventually { live.count == 0 }
  }

  /// They run on a thread that blocks for a pool, but is no worker.
  @Test func callbackOfAProcessPoolMayUseAndEndAThreadPool() async throws {
    let processes = ProcessPool(maxWorkers: 1)
    let threads = ThreadPool(maxWorkers: 1)
    let value = Future<Int>()
    processes.submit(1) { $0 + 1 }.addDoneCallback { one in
      let two = threads.submit { try one.wait() + 1 }
      let (sum, _) = threads.join({ 1 }, { 2 })
      threads.shutdownAndWait()
      value.complete(with: two.resultIfDone!.map { $0 + sum })
    }
    #expect(try await value.value == 4)
    await processes.shutdown()
  }
}
