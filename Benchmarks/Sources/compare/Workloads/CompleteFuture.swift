/// Has futures that are completed by hand.
protocol CompletesFutures: Contestant {
  /// Creates, `count` times, a future, gives it a callback that adds its value to a sum, and completes it with its number.
  func completeFutures(_ count: Int) -> Int
}

struct CompleteFuture: Workload {
  let name = "future"
  let title = "A future, a callback, a value"
  let text =
    "Create a future, add a callback, complete it; in one thread. SwiftNIO does this on the event loop's own thread."
  let metrics = [Metric(name: "time each", unit: .nanoseconds)]

  func operations(at point: Int) -> Int { 1_000_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any CompletesFutures }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let contestant = contestant as! any CompletesFutures
    _ = contestant.completeFutures(plan.operations / 10 + 1)
    let watch = Stopwatch()
    let sum = contestant.completeFutures(plan.operations)
    let elapsed = watch.stop()
    try expect(sum, triangle(plan.operations) - plan.operations, name)
    return [elapsed.timeEach(plan.operations)]
  }
}
