import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolQueueLimitTests {
  @Test func fullQueueRejectsAndRunningTasksDoNotCount() async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "small", queueLimit: .atMost(2, whenFull: .reject))
    let blockade = await Blockade(pool, 1)
    let accepted = [pool.submit { 1 }, pool.submit { 2 }]
    let rejected = pool.submit { 3 }
    let error = await #expect(throws: QueueFullError.self) { try await rejected.value }
    #expect(error?.name == "small")
    #expect(error?.limit == 2)
    #expect(error.map { "\($0)".contains("submitWhenAccepted") } == true)
    await #expect(throws: QueueFullError.self) { try await pool.run { 4 } }
    try await blockade.end()
    #expect(try await gather(accepted).value == [1, 2])
    #expect(try await pool.run { 5 } == 5)
    await pool.shutdown()
  }

  @Test func suspendingQueueRejectsPlainSubmissions() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend))
    let blockade = await Blockade(pool, 1)
    let accepted = pool.submit { 1 }
    await #expect(throws: QueueFullError.self) { try await pool.submit { 2 }.value }
    try await blockade.end()
    #expect(try await accepted.value == 1)
    await pool.shutdown()
  }

  @Test func blockedSubmitterGoesOnWhenThereIsRoom() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .block))
    let blockade = await Blockade(pool, 1)
    pool.submit {}
    let submitted = Gate()
    async let last = onThread {
      let future = pool.submit { 7 }
      submitted.open()
      return try future.wait()
    }
    await eventually { pool.core.waitersForPlace == 1 }
    #expect(!submitted.isOpen)
    try await blockade.end()
    #expect(try await last == 7)
    await pool.shutdown()
  }

  @Test func waitersAreServedInTheirOrderAndNobodyOvertakes() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend))
    let blockade = await Blockade(pool, 1)
    let log = Log<Int>()
    pool.submit {}
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<20 {
        group.addTask { try await pool.submitWhenAccepted { log.append(index) }.value }
        await eventually { pool.core.waitersForPlace == index + 1 }
      }
      blockade.lift()
      try await group.waitForAll()
    }
    #expect(log.entries == Array(0..<20))
    try await blockade.end()
    await pool.shutdown()
  }

  @Test func runAndSubmitWhenAcceptedNeverFailForLackOfRoom() async throws {
    for policy in [QueueLimit.WhenFull.suspend, .block, .reject] {
      let pool = ThreadPool(maxWorkers: 2, queueLimit: .atMost(2, whenFull: policy))
      let ran = Tally()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<300 {
          group.addTask {
            if index.isMultiple(of: 2) || policy == .reject {
              try await pool.submitWhenAccepted { _ = ran.add() }.value
            } else {
              try await pool.run { _ = ran.add() }
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(ran.count == 300)
      await pool.shutdown()
    }
  }

  @Test func cancelledWaiterLeavesTheLineAndSubmitsNothing() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend))
    let blockade = await Blockade(pool, 1)
    let ran = Tally()
    pool.submit {}
    let first = Task { try await pool.submitWhenAccepted { _ = ran.add() }.value }
    await eventually { pool.core.waitersForPlace == 1 }
    let second = Task { try await pool.run { _ = ran.add() } }
    await eventually { pool.core.waitersForPlace == 2 }
    let third = Task { try await pool.submitWhenAccepted { _ = ran.add() }.value }
    await eventually { pool.core.waitersForPlace == 3 }
    first.cancel()
    second.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    await #expect(throws: CancellationError.self) { try await second.value }
    #expect(pool.core.waitersForPlace == 1)
    try await blockade.end()
    try await third.value
    #expect(ran.count == 1)
    await pool.shutdown()
  }

  /// Cancellation that meets the grant: no place is lost, or the last submissions would hang.
  @Test func placesAreNotLostToCancelledWaiters() async throws {
    let pool = ThreadPool(maxWorkers: 2, queueLimit: .atMost(1, whenFull: .suspend))
    await withTaskGroup(of: Void.self) { group in
      var random = SeededGenerator(seed: 3)
      for index in 0..<400 {
        let yields = Int.random(in: 0..<6, using: &random)
        group.addTask {
          let task = Task {
            if index.isMultiple(of: 3) {
              try await pool.run {}
            } else {
              _ = try await pool.submitWhenAccepted {}.value
            }
          }
          if index.isMultiple(of: 2) {
            for _ in 0..<yields { await Task.yield() }
            task.cancel()
          }
          _ = await task.result
        }
      }
    }
    await eventually { pool.core.keptPlaces == 0 && pool.core.waitersForPlace == 0 }
    #expect(try await pool.run { 1 } == 1)
    await pool.shutdown()
    #expect(pool.core.keptPlaces == 0)
  }

  @Test func cancelledQueuedWorkFreesItsPlace() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend))
    let blockade = await Blockade(pool, 1)
    pool.submit { 1 }.cancel()
    let plain = pool.submit { 2 }
    #expect(plain.state == .pending)
    plain.cancel()
    let accepted = try await pool.submitWhenAccepted { 3 }
    accepted.cancel()
    let call = Task { try await pool.run { 4 } }
    await eventually { pool.statistics.queued == 1 && pool.core.waitersForPlace == 0 && pool.core.keptPlaces == 0 }
    call.cancel()
    await #expect(throws: CancellationError.self) { try await call.value }
    let last = pool.submit { 5 }
    try await blockade.end()
    #expect(try await last.value == 5)
    await pool.shutdown()
  }

  @Test(arguments: [QueueLimit.WhenFull.suspend, .block, .reject])
  func workersNeverWaitForRoomInTheirOwnPool(policy: QueueLimit.WhenFull) async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: policy))
    let sum = try await pool.submit {
      let futures = (1...10).map { index in pool.submit(priority: index.isMultiple(of: 2) ? .high : .medium) { index } }
      return try futures.reduce(0) { try $0 + $1.wait() }
    }.value
    #expect(sum == 55)
    let asynchronous = pool.submit { () async throws -> Int in
      var sum = 0
      for index in 1...4 { sum += try await pool.submitWhenAccepted { index }.value }
      for index in 1...4 { sum += try await pool.run { index } }
      return sum
    }
    #expect(try await asynchronous.value == 20)
    await pool.shutdown()
  }

  @Test func waitersHearOfTheEnd() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend))
    let blockade = await Blockade(pool, 1)
    pool.submit {}
    let submitting = Task { try await pool.submitWhenAccepted { 1 }.value }
    let running = Task { try await pool.run { 2 } }
    await eventually { pool.core.waitersForPlace == 2 }
    let shutdown = Task { await pool.shutdown() }
    await #expect(throws: ExecutorShutDownError.self) { try await submitting.value }
    await #expect(throws: ExecutorShutDownError.self) { try await running.value }
    try await blockade.end()
    await shutdown.value
  }

  @Test func waitersHearThatThePoolBroke() async throws {
    let gate = Gate()
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .atMost(1, whenFull: .suspend), keepAlive: .seconds(1)) {
      gate.pass()
      throw TestError()
    }
    let queued = pool.submit { 0 }
    let submitting = Task { try await pool.submitWhenAccepted { 1 }.value }
    let running = Task { try await pool.run { 2 } }
    await eventually { pool.core.waitersForPlace == 2 }
    gate.open()
    await #expect(throws: BrokenExecutorError.self) { try await queued.value }
    await #expect(throws: BrokenExecutorError.self) { try await submitting.value }
    await #expect(throws: BrokenExecutorError.self) { try await running.value }
    await pool.shutdown()
  }
}

extension PoolCore {
  fileprivate var waitersForPlace: Int { placeCounts.waiting }
  fileprivate var keptPlaces: Int { placeCounts.kept }
}
