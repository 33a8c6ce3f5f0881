import ConcurrentFutures

let combinatorPaths: [Path] = [
  // One gather of so many futures, from their creation to their values.
  Path(name: "gather") { count in
    let futures = (0..<count).map { _ in Future<Int>() }
    let all = gather(futures)
    for i in 0..<count { try! futures[i].setResult(i) }
    return try! all.resultIfDone!.get().reduce(0, +)
  },
  Path(name: "as-completed") { count in
    let futures = (0..<count).map { _ in Future<Int>() }
    let completed = asCompleted(futures)
    for i in 0..<count { try! futures[i].setResult(i) }
    var sum = 0
    for future in completed { sum += try! future.resultIfDone!.get() }
    return sum
  },
  Path(name: "first-completed", expected: { $0 - 1 }) { count in
    let futures = (0..<count).map { _ in Future<Int>() }
    let first = firstCompleted(of: futures)
    try! futures[count - 1].setResult(count - 1)
    return try! first.resultIfDone!.get()
  },
]
