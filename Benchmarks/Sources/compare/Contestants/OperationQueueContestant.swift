import Foundation

/// Foundation's OperationQueue; results by way of an array.
struct OperationQueueContestant: Contestant {
  let name = "OperationQueue"
  let share = 0.2

  private static func makeQueue(_ workers: Int) -> OperationQueue {
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = workers
    return queue
  }
}

extension OperationQueueContestant: SubmitsTasks {
  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    let queue = Self.makeQueue(workers)
    return { range in
      let results = ResultArray(range.count)
      var operations: [Operation] = []
      operations.reserveCapacity(range.count)
      for i in range {
        let operation = BlockOperation { results[i] = increment(i) }
        operations.append(operation)
        queue.addOperation(operation)
      }
      var sum = 0
      for (i, operation) in operations.enumerated() {
        operation.waitUntilFinished()
        sum += results[i]
      }
      return sum
    }
  }
}

extension OperationQueueContestant: QueuesTasks {
  var longestQueue: Int { 1_000_000 }

  private final class Queue: BlockedQueue {
    private let queue: OperationQueue
    private var operations: [Operation] = []
    private var results = ResultArray(0)

    init(_ queue: OperationQueue) { self.queue = queue }

    func block() { queue.isSuspended = true }

    func reserve(_ count: Int) { operations.reserveCapacity(count) }

    func submit(_ count: Int) {
      results = ResultArray(count)
      for i in 0..<count {
        let operation = BlockOperation { [results] in results[i] = increment(i) }
        operations.append(operation)
        queue.addOperation(operation)
      }
    }

    func drain() -> Int {
      queue.isSuspended = false
      var sum = 0
      for (i, operation) in operations.enumerated() {
        operation.waitUntilFinished()
        sum += results[i]
      }
      operations.removeAll(keepingCapacity: true)
      return sum
    }
  }

  func makeBlockedQueue(workers: Int) -> any BlockedQueue { Queue(Self.makeQueue(workers)) }
}

extension OperationQueueContestant: MakesRoundTrips {
  func makeRoundTrip(workers: Int) -> (Int) throws -> Int {
    let queue = Self.makeQueue(workers)
    let result = Box(0)
    return { i in
      let operation = BlockOperation { result.value = increment(i) }
      queue.addOperation(operation)
      operation.waitUntilFinished()
      return result.value
    }
  }
}

extension OperationQueueContestant: HopsAsync {
  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int {
    let queue = Self.makeQueue(workers)
    return { i in
      await withCheckedContinuation { continuation in
        queue.addOperation { continuation.resume(returning: increment(i)) }
      }
    }
  }
}

extension OperationQueueContestant: BlocksThreads {
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void {
    let queue = Self.makeQueue(workers)
    return { count, body in
      for _ in 0..<count { queue.addOperation(body) }
      queue.waitUntilAllOperationsAreFinished()
    }
  }
}
