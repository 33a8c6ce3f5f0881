import Dispatch

/// Dispatch: work items, which can be waited for, on the global queue; results by way of an array.
struct DispatchContestant: Contestant {
  let name = "Dispatch"
}

extension DispatchContestant: SubmitsTasks {
  /// The global queue has as many threads as the machine has cores.
  var choosesWorkers: Bool { false }

  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    let queue = DispatchQueue.global()
    return { range in
      let results = ResultArray(range.count)
      var items: [DispatchWorkItem] = []
      items.reserveCapacity(range.count)
      for i in range {
        let item = DispatchWorkItem { results[i] = increment(i) }
        items.append(item)
        queue.async(execute: item)
      }
      var sum = 0
      for (i, item) in items.enumerated() {
        item.wait()
        sum += results[i]
      }
      return sum
    }
  }
}

/// An array that tasks write to, each to its own place.
final class ResultArray: @unchecked Sendable {
  private let values: UnsafeMutableBufferPointer<Int>
  init(_ count: Int) { values = .allocate(capacity: count) }
  deinit { values.deallocate() }
  subscript(index: Int) -> Int {
    get { values[index] }
    set { values[index] = newValue }
  }
}

extension DispatchContestant: QueuesTasks {
  private final class Queue: BlockedQueue {
    private let queue = DispatchQueue(label: "queue-length", attributes: .concurrent)
    private var items: [DispatchWorkItem] = []
    private var results = ResultArray(0)

    func block() { queue.suspend() }

    func reserve(_ count: Int) { items.reserveCapacity(count) }

    func submit(_ count: Int) {
      results = ResultArray(count)
      for i in 0..<count {
        let item = DispatchWorkItem { [results] in results[i] = increment(i) }
        items.append(item)
        queue.async(execute: item)
      }
    }

    func drain() -> Int {
      queue.resume()
      var sum = 0
      for (i, item) in items.enumerated() {
        item.wait()
        sum += results[i]
      }
      items.removeAll(keepingCapacity: true)
      return sum
    }
  }

  func makeBlockedQueue(workers: Int) -> any BlockedQueue { Queue() }
}

extension DispatchContestant: MakesRoundTrips {
  func makeRoundTrip(workers: Int) -> (Int) throws -> Int {
    let queue = DispatchQueue.global()
    let result = Box(0)
    return { i in
      let item = DispatchWorkItem { result.value = increment(i) }
      queue.async(execute: item)
      item.wait()
      return result.value
    }
  }
}

extension DispatchContestant: HopsAsync {
  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int {
    let queue = DispatchQueue.global()
    return { i in
      await withCheckedContinuation { continuation in
        queue.async { continuation.resume(returning: increment(i)) }
      }
    }
  }
}

extension DispatchContestant: GathersFutures {
  func makeGather(_ count: Int) -> PendingFutures {
    let group = DispatchGroup()
    let results = ResultArray(count)
    return PendingFutures(
      complete: {
        results[$0] = $0
        group.leave()
      },
      consume: { ready in
        for _ in 0..<count { group.enter() }
        ready()
        group.wait()
        return (0..<count).reduce(0) { $0 + results[$1] }
      })
  }
}

extension DispatchContestant: ForksAndJoins {
  func makeForkJoins(workers: Int) -> [(variant: String?, fib: (Int) throws -> Int)] {
    @Sendable func fib(_ n: Int) -> Int {
      if n < 2 { return n }
      nonisolated(unsafe) var halves = (0, 0)
      DispatchQueue.concurrentPerform(iterations: 2) { half in
        if half == 0 { halves.0 = fib(n - 1) } else { halves.1 = fib(n - 2) }
      }
      return halves.0 + halves.1
    }
    return [("concurrentPerform", fib)]
  }
}

extension DispatchContestant: BlocksThreads {
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void {
    { count, body in
      let group = DispatchGroup()
      for _ in 0..<count { DispatchQueue.global().async(group: group, execute: body) }
      group.wait()
    }
  }
}

extension DispatchContestant: ComputesInParallel {
  func makeParallel(workers: Int) -> [ParallelCalls] {
    [
      ParallelCalls(variant: "concurrentPerform") { calls, argument in
        let results = ResultArray(calls)
        DispatchQueue.concurrentPerform(iterations: calls) { results[$0] = fibonacci(argument) }
        return (0..<calls).reduce(0) { $0 + results[$1] }
      }
    ]
  }
}
