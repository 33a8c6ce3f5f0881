import ConcurrentFutures
import Dispatch

/// A pool of one worker that is kept busy until `open`, so that submitting wakes nobody.
private struct BlockedPool {
  let pool = ThreadPool(maxWorkers: 1)
  private let gate = DispatchSemaphore(value: 0)

  init() {
    let started = DispatchSemaphore(value: 0)
    pool.submit { [gate] in
      started.signal()
      gate.wait()
    }
    started.wait()
  }

  func open() { gate.signal() }
}

/// Calls a body on the only worker of a pool, and sleeps, without spinning, until it has returned.
private func onWorker(_ body: @escaping @Sendable (ThreadPool) -> Int) -> Int {
  let pool = ThreadPool(maxWorkers: 1)
  let result = Box(0)
  let done = DispatchSemaphore(value: 0)
  pool.submit {
    result.value = body(pool)
    done.signal()
  }
  done.wait()
  return result.value
}

/// Kept until the program's end: taking down a queue is not what is counted.
nonisolated(unsafe) private var kept: [any Sendable] = []

let poolPaths: [Path] = [
  Path(name: "submit", expected: { $0 }) { count in
    let blocked = BlockedPool()
    var futures: [Future<Int>] = []
    futures.reserveCapacity(count)
    for i in 0..<count { futures.append(blocked.pool.submit { i + 1 }) }
    kept = [blocked, futures]
    return futures.count
  },
  // Submitted while the worker is busy, then run by it without a pause.
  Path(name: "submit-run", expected: { $0 * ($0 + 1) / 2 }) { count in
    let blocked = BlockedPool()
    let done = DispatchSemaphore(value: 0)
    var futures: [Future<Int>] = []
    futures.reserveCapacity(count)
    for i in 0..<count { futures.append(blocked.pool.submit { i + 1 }) }
    blocked.pool.submit { _ = done.signal() }
    blocked.open()
    done.wait()
    return futures.reduce(0) { try! $0 + $1.resultIfDone!.get() }
  },
  // Queued while the worker is busy, in chunks of 64.
  Path(name: "map-chunks") { count in
    let blocked = BlockedPool()
    let done = DispatchSemaphore(value: 0)
    let mapped = blocked.pool.map(0..<count, chunkSize: 64) { $0 }
    mapped.addDoneCallback { _ in done.signal() }
    blocked.open()
    done.wait()
    return try! mapped.resultIfDone!.get().reduce(0, +)
  },
  Path(name: "submit-cancel", expected: { $0 }) { count in
    let blocked = BlockedPool()
    var cancelled = 0
    for i in 0..<count { cancelled += blocked.pool.submit { i + 1 }.cancel() ? 1 : 0 }
    kept = [blocked]
    return cancelled
  },
  Path(name: "join", expected: { $0 * $0 }) { count in
    onWorker { pool in
      var sum = 0
      for i in 0..<count {
        let (a, b) = pool.join({ i }, { i + 1 })
        sum += a + b
      }
      return sum
    }
  },
  // A future that a worker submits and waits for: it runs the body itself.
  Path(name: "submit-wait-on-worker", expected: { $0 * ($0 + 1) / 2 }) { count in
    onWorker { pool in
      var sum = 0
      for i in 0..<count { sum += try! pool.submit { i + 1 }.wait() }
      return sum
    }
  },
]
