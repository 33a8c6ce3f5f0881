import Dispatch
import NIOCore
import NIOPosix

/// SwiftNIO: `NIOThreadPool`, whose results are `EventLoopFuture`s of an event loop.
struct NIOContestant: Contestant {
  let name = "SwiftNIO"

  private func makePool(_ workers: Int) -> NIOThreadPool {
    let pool = NIOThreadPool(numberOfThreads: workers)
    pool.start()
    return pool
  }

  private func makeEventLoop() -> any EventLoop { MultiThreadedEventLoopGroup(numberOfThreads: 1).next() }
}

extension NIOContestant: SubmitsTasks {
  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    let pool = makePool(workers)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
    return { range in
      let loop = group.next()
      var futures: [EventLoopFuture<Int>] = []
      futures.reserveCapacity(range.count)
      for i in range { futures.append(pool.runIfActive(eventLoop: loop) { increment(i) }) }
      return try! EventLoopFuture.whenAllSucceed(futures, on: loop).wait().reduce(0, +)
    }
  }
}

extension NIOContestant: QueuesTasks {
  private final class Queue: BlockedQueue {
    private let pool: NIOThreadPool
    private let loop: any EventLoop
    private let workers: Int
    private let gate = DispatchSemaphore(value: 0)
    private var futures: [EventLoopFuture<Int>] = []

    init(_ pool: NIOThreadPool, _ loop: any EventLoop, workers: Int) {
      self.pool = pool
      self.loop = loop
      self.workers = workers
    }

    func block() {
      let started = DispatchSemaphore(value: 0)
      let gate = gate
      for _ in 0..<workers {
        pool.submit { _ in
          started.signal()
          gate.wait()
        }
      }
      for _ in 0..<workers { started.wait() }
    }

    func reserve(_ count: Int) { futures.reserveCapacity(count) }

    func submit(_ count: Int) {
      for i in 0..<count { futures.append(pool.runIfActive(eventLoop: loop) { increment(i) }) }
    }

    func drain() -> Int {
      for _ in 0..<workers { gate.signal() }
      let sum = try! EventLoopFuture.whenAllSucceed(futures, on: loop).wait().reduce(0, +)
      futures.removeAll(keepingCapacity: true)
      return sum
    }
  }

  func makeBlockedQueue(workers: Int) -> any BlockedQueue {
    Queue(makePool(workers), makeEventLoop(), workers: workers)
  }
}

extension NIOContestant: MakesRoundTrips {
  func makeRoundTrip(workers: Int) -> (Int) throws -> Int {
    let pool = makePool(workers)
    let loop = makeEventLoop()
    return { i in try pool.runIfActive(eventLoop: loop) { increment(i) }.wait() }
  }
}

extension NIOContestant: HopsAsync {
  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int {
    let pool = makePool(workers)
    return { i in try await pool.runIfActive { increment(i) } }
  }
}

extension NIOContestant: CompletesFutures {
  func completeFutures(_ count: Int) -> Int {
    let loop = makeEventLoop()
    return try! loop.submit {
      let sum = Box(0)
      for i in 0..<count {
        let promise = loop.makePromise(of: Int.self)
        promise.futureResult.whenSuccess { sum.value += $0 }
        promise.succeed(i)
      }
      return sum.value
    }.wait()
  }
}

extension NIOContestant: GathersFutures {
  func makeGather(_ count: Int) -> PendingFutures {
    let loop = makeEventLoop()
    let promises = (0..<count).map { _ in loop.makePromise(of: Int.self) }
    return PendingFutures(
      complete: { promises[$0].succeed($0) },
      consume: { ready in
        let all = EventLoopFuture.whenAllSucceed(promises.map { $0.futureResult }, on: loop)
        ready()
        return try! all.wait().reduce(0, +)
      })
  }
}

extension NIOContestant: BlocksThreads {
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void {
    let pool = makePool(workers)
    let loop = makeEventLoop()
    return { count, body in
      let futures = (0..<count).map { _ in pool.runIfActive(eventLoop: loop) { body() } }
      try EventLoopFuture.andAllSucceed(futures, on: loop).wait()
    }
  }
}

extension NIOContestant: KeepsPendingFutures {
  private struct Store: FutureStore {
    let promises: UnsafeMutableBufferPointer<EventLoopPromise<Int>>
    let loop: any EventLoop
    let sum = Box(0)

    private func onLoop(_ body: @escaping @Sendable () -> Void) { try! loop.submit(body).wait() }

    func fill() {
      nonisolated(unsafe) let promises = promises
      onLoop { [loop, sum] in
        for i in promises.indices {
          let promise = loop.makePromise(of: Int.self)
          promise.futureResult.whenSuccess { sum.value += $0 }
          promises.initializeElement(at: i, to: promise)
        }
      }
    }

    func complete() -> Int {
      nonisolated(unsafe) let promises = promises
      onLoop { for i in promises.indices { promises[i].succeed(i) } }
      return sum.value
    }
  }

  func makeStore(_ count: Int) -> any FutureStore {
    Store(promises: .allocate(capacity: count), loop: makeEventLoop())
  }
}
