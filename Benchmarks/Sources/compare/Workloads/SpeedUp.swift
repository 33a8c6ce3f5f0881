/// Can compute on several cores at once.
protocol ComputesInParallel: Contestant {
  func makeParallel(workers: Int) -> [ParallelCalls]
}

/// A way to call `fibonacci` so often with the same argument.
struct ParallelCalls {
  var variant: String?
  /// The processes that take part, once they run.
  var workers: () -> [Int32] = { [] }
  /// Returns the sum.
  var run: (_ calls: Int, _ argument: Int) throws -> Int
}

/// Something to compute that needs no memory.
@inline(never) func fibonacci(_ n: Int) -> Int { n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2) }

struct SpeedUp: Workload {
  let name = "speed-up"
  let title = "Speed-up by 2 workers"
  let text = """
    400 calls of about a millisecond each that only compute, on 2 workers against the same calls in a plain loop, which \
    is timed right before. 2 is the most there can be, on 2 cores that do nothing else.
    """
  let metrics = [Metric(name: "speed-up", unit: .factor)]

  func operations(at point: Int) -> Int { 400 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any ComputesInParallel }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let argument = 28
    return try (contestant as! any ComputesInParallel).makeParallel(workers: 2).map { calls in
      try expect(calls.run(20, 20), 20 * fibonacci(20), name)
      let plain = Stopwatch()
      var sum = 0
      for _ in 0..<plan.operations { sum += fibonacci(argument) }
      let alone = plain.stop()
      let watch = Stopwatch(workers: calls.workers())
      try expect(calls.run(plan.operations, argument), sum, name)
      let elapsed = watch.stop()
      return elapsed.reading(
        "speed-up", alone.wallSeconds / elapsed.wallSeconds, operations: plan.operations, variant: calls.variant)
    }
  }
}
