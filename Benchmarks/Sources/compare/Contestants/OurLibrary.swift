import ConcurrentFutures
import Dispatch

/// The library of this package.
struct OurLibrary: Contestant {
  let name = "ConcurrentFutures"
}

extension OurLibrary: SubmitsTasks {
  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    let pool = ThreadPool(maxWorkers: workers)
    return { range in
      var futures: [Future<Int>] = []
      futures.reserveCapacity(range.count)
      for i in range { futures.append(pool.submit { increment(i) }) }
      var sum = 0
      for future in futures { sum += try! future.wait() }
      return sum
    }
  }
}

extension OurLibrary: QueuesTasks {
  private final class Queue: BlockedQueue {
    private let pool: ThreadPool
    private let gate = DispatchSemaphore(value: 0)
    private var futures: [Future<Int>] = []

    init(workers: Int) { pool = ThreadPool(maxWorkers: workers) }

    func block() {
      let started = DispatchSemaphore(value: 0)
      let gate = gate
      for _ in 0..<pool.maxWorkers {
        pool.submit {
          started.signal()
          gate.wait()
        }
      }
      for _ in 0..<pool.maxWorkers { started.wait() }
    }

    func reserve(_ count: Int) { futures.reserveCapacity(count) }

    func submit(_ count: Int) {
      for i in 0..<count { futures.append(pool.submit { increment(i) }) }
    }

    func drain() -> Int {
      for _ in 0..<pool.maxWorkers { gate.signal() }
      var sum = 0
      for future in futures { sum += try! future.wait() }
      futures.removeAll(keepingCapacity: true)
      return sum
    }
  }

  func makeBlockedQueue(workers: Int) -> any BlockedQueue { Queue(workers: workers) }
}

extension OurLibrary: MakesRoundTrips {
  func makeRoundTrip(workers: Int) -> (Int) throws -> Int {
    let pool = ThreadPool(maxWorkers: workers)
    return { i in try pool.submit { increment(i) }.wait() }
  }
}

extension OurLibrary: HopsAsync {
  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int {
    let pool = ThreadPool(maxWorkers: workers)
    return { i in try await pool.run { increment(i) } }
  }
}

extension OurLibrary: CompletesFutures {
  func completeFutures(_ count: Int) -> Int {
    let sum = Box(0)
    for i in 0..<count {
      let future = Future<Int>()
      future.addDoneCallback { sum.value += try! $0.resultIfDone!.get() }
      try! future.setResult(i)
    }
    return sum.value
  }
}

extension OurLibrary: GathersFutures, IteratesAsCompleted {
  private func pending(_ count: Int, _ consume: @escaping ([Future<Int>], () -> Void) -> Int) -> PendingFutures {
    let futures = (0..<count).map { _ in Future<Int>() }
    return PendingFutures(complete: { try! futures[$0].setResult($0) }, consume: { consume(futures, $0) })
  }

  func makeGather(_ count: Int) -> PendingFutures {
    pending(count) { futures, ready in
      let all = gather(futures)
      ready()
      return try! all.wait().reduce(0, +)
    }
  }

  func makeAsCompleted(_ count: Int) -> PendingFutures {
    pending(count) { futures, ready in
      let completed = asCompleted(futures)
      ready()
      var sum = 0
      for future in completed { sum += try! future.resultIfDone!.get() }
      return sum
    }
  }
}

extension OurLibrary: ForksAndJoins {
  func makeForkJoins(workers: Int) -> [(variant: String?, fib: (Int) throws -> Int)] {
    let pool = ThreadPool(maxWorkers: workers)
    @Sendable func fib(_ n: Int) -> Int {
      if n < 2 { return n }
      let first = pool.submit { fib(n - 1) }
      let second = fib(n - 2)
      return try! first.wait() + second
    }
    @Sendable func joined(_ n: Int) -> Int {
      if n < 2 { return n }
      let (first, second) = pool.join({ joined(n - 1) }, { joined(n - 2) })
      return first + second
    }
    return [
      ("futures", { n in try pool.submit { fib(n) }.wait() }),
      ("join", { n in try pool.submit { joined(n) }.wait() }),
    ]
  }
}

extension OurLibrary: BlocksThreads {
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void {
    let pool = ThreadPool(maxWorkers: workers)
    return { count, body in _ = try gather((0..<count).map { _ in pool.submit { body() } }).wait() }
  }
}

extension OurLibrary: KeepsPendingFutures {
  private struct Store: FutureStore {
    let futures: UnsafeMutableBufferPointer<Future<Int>>
    let sum = Box(0)

    func fill() {
      for i in futures.indices {
        let future = Future<Int>()
        future.addDoneCallback { [sum] in sum.value += try! $0.resultIfDone!.get() }
        futures.initializeElement(at: i, to: future)
      }
    }

    func complete() -> Int {
      for i in futures.indices { try! futures[i].setResult(i) }
      return sum.value
    }
  }

  func makeStore(_ count: Int) -> any FutureStore { Store(futures: .allocate(capacity: count)) }
}
