/// Can run calls that block.
protocol BlocksThreads: Contestant {
  /// A function that runs a body so many times, on as many workers at once as asked for, and waits for all.
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void
}

struct BlockingSleeps: Workload {
  let name = "sleeps"
  let title = "200 blocking calls"
  let text = """
    200 calls (in a quick run 20) that sleep for 50 ms, on a pool of as many workers: with the pool's start, and once more \
    on the warm pool. \
    Dispatch's global queue, OperationQueue on top of it and Swift's own pool do not have that many threads.
    """
  let metrics = [Metric(name: "cold", unit: .nanoseconds), Metric(name: "warm", unit: .nanoseconds)]

  func operations(at point: Int) -> Int { 200 }
  let isShared = false
  func admits(_ contestant: any Contestant) -> Bool { contestant is any BlocksThreads }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let calls = max(4, plan.operations)
    let first = Stopwatch()
    let run = (contestant as! any BlocksThreads).makeBlocking(workers: calls)
    try run(calls) { sleepFor50Milliseconds() }
    let cold = first.stop()
    let second = Stopwatch()
    try run(calls) { sleepFor50Milliseconds() }
    let warm = second.stop()
    return [
      cold.reading("cold", cold.wallSeconds * 1e9, operations: calls),
      warm.reading("warm", warm.wallSeconds * 1e9, operations: calls),
    ]
  }
}
