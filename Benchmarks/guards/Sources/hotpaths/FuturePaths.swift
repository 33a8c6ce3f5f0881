import ConcurrentFutures

/// State of one thread at a time.
final class Box<Value>: @unchecked Sendable {
  @exclusivity(unchecked) var value: Value
  init(_ value: Value) { self.value = value }
}

let futurePaths: [Path] = [
  Path(name: "complete") { count in
    var sum = 0
    for i in 0..<count {
      let future = Future<Int>()
      try! future.setResult(i)
      sum += try! future.resultIfDone!.get()
    }
    return sum
  },
  // A value that has to be destroyed.
  Path(name: "complete-array", expected: { $0 }) { count in
    var sum = 0
    let values = Array(0..<3)
    for _ in 0..<count {
      let future = Future<[Int]>()
      try! future.setResult(values)
      sum += future.isDone ? 1 : 0
    }
    return sum
  },
  Path(name: "callback-complete") { count in
    let sum = Box(0)
    for i in 0..<count {
      let future = Future<Int>()
      future.addDoneCallback { sum.value += try! $0.resultIfDone!.get() }
      try! future.setResult(i)
    }
    return sum.value
  },
  Path(name: "three-callbacks-complete", expected: { 3 * $0 * ($0 - 1) / 2 }) { count in
    let sum = Box(0)
    for i in 0..<count {
      let future = Future<Int>()
      for _ in 0..<3 { future.addDoneCallback { sum.value += try! $0.resultIfDone!.get() } }
      try! future.setResult(i)
    }
    return sum.value
  },
  Path(name: "callback-remove", expected: { $0 }) { count in
    let future = Future<Int>()
    var removed = 0
    for _ in 0..<count {
      let token = future.addDoneCallback { _ in }
      removed += future.removeDoneCallback(token) ? 1 : 0
    }
    return removed
  },
  Path(name: "callback-cancel", expected: { $0 }) { count in
    let sum = Box(0)
    for _ in 0..<count {
      let future = Future<Int>()
      future.addDoneCallback { sum.value += $0.isCancelled ? 1 : 0 }
      future.cancel()
    }
    return sum.value
  },
  Path(name: "wait-done") { count in
    var sum = 0
    for i in 0..<count { sum += try! Future.succeeded(i).wait() }
    return sum
  },
  Path(name: "map-complete", expected: { $0 * ($0 + 1) / 2 }) { count in
    var sum = 0
    for i in 0..<count {
      let future = Future<Int>()
      let mapped = future.map { $0 + 1 }
      try! future.setResult(i)
      sum += try! mapped.resultIfDone!.get()
    }
    return sum
  },
  // One chain of so many links.
  Path(name: "map-chain", expected: { $0 }) { count in
    let first = Future<Int>()
    var last = first
    for _ in 0..<count { last = last.map { $0 + 1 } }
    try! first.setResult(0)
    return try! last.resultIfDone!.get()
  },
  Path(name: "flat-map-complete", expected: { $0 * ($0 + 1) / 2 }) { count in
    var sum = 0
    for i in 0..<count {
      let future = Future<Int>()
      let mapped = future.flatMap { .succeeded($0 + 1) }
      try! future.setResult(i)
      sum += try! mapped.resultIfDone!.get()
    }
    return sum
  },
]
