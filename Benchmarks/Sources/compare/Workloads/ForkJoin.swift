/// Can wait for a task inside a task without using up its threads.
protocol ForksAndJoins: Contestant {
  /// Ways to compute Fibonacci numbers with a fork for every call from 2 up, by their names; nil for the only one.
  func makeForkJoins(workers: Int) -> [(variant: String?, fib: (Int) throws -> Int)]
}

struct ForkJoin: Workload {
  let name = "fork-join"
  let title = "Fork and join"
  let text = """
    fib(24): a call from 2 up forks one half, computes the other itself, and waits for the first: 75,024 forks, 2 workers. \
    SwiftNIO, OperationQueue and Python have no figure: waiting inside a task uses up their threads, and they deadlock.
    """
  let metrics = [Metric(name: "rate", unit: .perSecond)]

  static let forks = 75_024
  func operations(at point: Int) -> Int { 10 * Self.forks }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any ForksAndJoins }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let repetitions = max(1, plan.operations / Self.forks)
    return try (contestant as! any ForksAndJoins).makeForkJoins(workers: 2).map { variant, fib in
      try expect(fib(16), 987, name)
      let watch = Stopwatch()
      for _ in 0..<repetitions { try expect(fib(24), 46_368, name) }
      return watch.stop().rate(repetitions * Self.forks, variant: variant)
    }
  }
}
