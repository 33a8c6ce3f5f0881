import Dispatch
import Foundation

/// Swift's unstructured Tasks, whose handles are futures, on Swift's own pool of threads.
struct TaskContestant: Contestant {
  let name = "Task"
}

extension TaskContestant: SubmitsTasks {
  var choosesWorkers: Bool { false }

  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    { range in
      try! blocking {
        var tasks: [Task<Int, Never>] = []
        tasks.reserveCapacity(range.count)
        for i in range { tasks.append(Task.detached { increment(i) }) }
        var sum = 0
        for task in tasks { sum += await task.value }
        return sum
      }
    }
  }
}

extension TaskContestant: QueuesTasks {
  var longestQueue: Int { 1_000_000 }

  private final class Queue: BlockedQueue {
    private let threads = ProcessInfo.processInfo.activeProcessorCount
    private let gate = DispatchSemaphore(value: 0)
    private let tasks = Box<[Task<Int, Never>]>([])

    /// Swift's pool has a thread for each core and no more.
    func block() {
      let started = DispatchSemaphore(value: 0)
      for _ in 0..<threads {
        Task.detached { [gate] in
          started.signal()
          compare.block(on: gate)
        }
      }
      for _ in 0..<threads { started.wait() }
    }

    func reserve(_ count: Int) { tasks.value.reserveCapacity(count) }

    func submit(_ count: Int) {
      for i in 0..<count { tasks.value.append(Task.detached { increment(i) }) }
    }

    func drain() -> Int {
      for _ in 0..<threads { gate.signal() }
      return try! blocking { [tasks] in
        var sum = 0
        for task in tasks.value { sum += await task.value }
        tasks.value.removeAll(keepingCapacity: true)
        return sum
      }
    }
  }

  func makeBlockedQueue(workers: Int) -> any BlockedQueue { Queue() }
}

extension TaskContestant: MakesAsyncRoundTrips, HopsAsync {
  func makeAsyncRoundTrip() -> @Sendable (Int) async -> Int {
    { i in await Task.detached { increment(i) }.value }
  }

  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int { makeAsyncRoundTrip() }
}

extension TaskContestant: IteratesAsCompleted {
  func makeAsCompleted(_ count: Int) -> PendingFutures {
    let (stream, values) = AsyncStream.makeStream(of: Int.self)
    return PendingFutures(
      complete: {
        values.yield($0)
        if $0 == count - 1 { values.finish() }
      },
      consume: { ready in
        ready()
        return try! blocking { await stream.reduce(0, +) }
      })
  }
}

extension TaskContestant: ForksAndJoins {
  func makeForkJoins(workers: Int) -> [(variant: String?, fib: (Int) throws -> Int)] {
    @Sendable func fib(_ n: Int) async -> Int {
      if n < 2 { return n }
      async let first = fib(n - 1)
      let second = await fib(n - 2)
      return await first + second
    }
    return [("async let", { n in try blocking { await fib(n) } })]
  }
}
