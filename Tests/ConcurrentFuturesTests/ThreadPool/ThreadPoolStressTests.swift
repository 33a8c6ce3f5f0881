import Foundation
import Synchronization
import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolStressTests {
  /// Whatever happens to a future, it ends, and its body runs at most once and exactly if it says so.
  private final class Item: Sendable {
    let runs = Atomic(0)
    let ends = Atomic(0)
  }

  @Test(arguments: [1, 2, 4]) func randomSubmissionsCancellationsAndWaitsAllEnd(maxWorkers: Int) async throws {
    for seed in 1...3 {
      let pool = ThreadPool(maxWorkers: maxWorkers)
      let items = try await onThreads(4) { index -> [(Item, Future<Int>)] in
        var random = SeededGenerator(seed: UInt64(seed * 100 + index))
        var made: [(Item, Future<Int>)] = []
        for step in 0..<1_500 {
          switch Int.random(in: 0..<10, using: &random) {
          case 0..<6:
            let item = Item()
            let priority: TaskPriority = [.high, .medium, .medium, .low].randomElement(using: &random)!
            let kind = Int.random(in: 0..<8, using: &random)
            let future = pool.submit(priority: priority) { () throws -> Int in
              item.runs.add(1, ordering: .relaxed)
              switch kind {
              case 0: throw TestError(step)
              case 1: return try pool.submit { step }.wait()
              case 2: return pool.join({ step }, { 0 }).0
              case 3: return try pool.submit(priority: .high) { step }.wait(timeout: .seconds(patience))
              default: return step
              }
            }
            future.addDoneCallback { _ in item.ends.add(1, ordering: .relaxed) }
            made.append((item, future))
          case 6: made.randomElement(using: &random)?.1.cancel()
          case 7: _ = try? made.randomElement(using: &random)?.1.wait()
          case 8: _ = try? made.randomElement(using: &random)?.1.wait(timeout: .microseconds(50))
          default: made.last?.1.cancel()
          }
        }
        return made
      }
      await pool.shutdown()
      for (item, future) in items.joined() {
        #expect(future.isDone)
        #expect(item.ends.load(ordering: .relaxed) == 1)
        #expect(item.runs.load(ordering: .relaxed) == (future.isCancelled ? 0 : 1))
      }
      #expect(pool.statistics == ThreadPool.Statistics(threads: 0, running: 0, queued: 0))
      let counts = pool.core.withState { ($0.active, $0.searching, $0.idle.count, $0.callable.count) }
      #expect(counts == (0, 0, 0, 0))
    }
  }

  @Test(arguments: [false, true]) func submissionsThatRaceWithShutdownEndInOneWayOrTheOther(cancelPending: Bool)
    async throws
  {
    for round in 0..<150 {
      let pool = ThreadPool(maxWorkers: 2)
      let ran = Tally()
      let results = try await onThreads(3) { index -> [Future<Void>] in
        if index == 0 {
          for _ in 0..<(round % 40) { sched_yield() }
          pool.shutdownAndWait(cancelPending: cancelPending)
          return []
        }
        return (0..<60).map { _ in
          pool.submit {
            ran.add()
            // A worker's own submission, at the same moment.
            pool.submit {}
          }
        }
      }
      await pool.shutdown()
      var finished = 0
      for future in results.joined() {
        switch future.resultIfDone {
        case .success: finished += 1
        case .failure(let error):
          #expect(error is ExecutorShutDownError || (cancelPending && error is CancellationError))
        case nil: Issue.record("a future never ended")
        }
      }
      #expect(finished == ran.count)
    }
  }

  @Test func thousandsOfSmallPoolsComeAndGo() async throws {
    let ran = Tally()
    _ = try await onThreads(4) { index in
      for round in 0..<750 {
        let pool = ThreadPool(maxWorkers: 1 + round % 3, name: "small")
        let futures = (0..<3).map { _ in pool.submit { _ = ran.add() } }
        switch round % 3 {
        case 0: pool.shutdownAndWait()
        case 1: for future in futures { try future.wait() }
        default: break  // dropped with work in it
        }
      }
    }
    await eventually { ran.count == 4 * 750 * 3 }
    await eventually { NamedThreads.count(prefix: "small-") == 0 }
  }

  @Test func asynchronousAndBlockingWorkMix() async throws {
    let pool = ThreadPool(maxWorkers: 3)
    let total = Tally()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<600 {
        group.addTask {
          switch index % 5 {
          case 0: try await pool.run { _ = total.add() }
          case 1: _ = try await pool.submit { () async in total.add() }.value
          case 2: _ = try await pool.submit { try pool.submit { total.add() }.wait() }.value
          case 3: await Task(executorPreference: pool.taskExecutor) { _ = total.add() }.value
          default:
            try await pool.submit { () async throws in
              await Task.yield()
              try await pool.run { _ = total.add() }
            }.value
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(total.count == 600)
    await pool.shutdown()
  }

  /// A queue that is always full, many kinds of submitters, cancellation in between.
  @Test(arguments: [QueueLimit.WhenFull.suspend, .block]) func boundedQueueLosesNobody(policy: QueueLimit.WhenFull)
    async throws
  {
    let pool = ThreadPool(maxWorkers: 2, queueLimit: .atMost(3, whenFull: policy))
    let ran = Tally()
    let expected = Tally()
    async let threads: [Void] = onThreads(3) { _ in
      guard policy == .block else { return }
      for index in 0..<400 {
        let future = pool.submit { _ = ran.add() }
        if index.isMultiple(of: 4) && future.cancel() { continue }
        expected.add()
      }
    }
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<600 {
        group.addTask {
          let task = Task {
            if index.isMultiple(of: 2) {
              try await pool.run { _ = ran.add() }
            } else {
              try await pool.submitWhenAccepted { _ = ran.add() }.value
            }
          }
          if index.isMultiple(of: 5) {
            task.cancel()
            // What was submitted may run although nobody waits any more.
            _ = await task.result
          } else {
            if case .success = await task.result { expected.add() }
          }
        }
      }
    }
    _ = try await threads
    await pool.shutdown()
    #expect(ran.count >= expected.count)
    #expect(ran.count <= expected.count + 120)
  }
}
