/// Can hand out futures in the order of their completion.
protocol IteratesAsCompleted: Contestant {
  func makeAsCompleted(_ count: Int) -> PendingFutures
}

struct AsCompletedFutures: Workload {
  let name = "as-completed"
  let title = "Take 100,000 futures as they complete"
  let text = """
    As before, but the futures are taken one by one, in the order in which they complete. Task has no such thing: values \
    of an AsyncStream that the other thread feeds.
    """
  let metrics = [Metric(name: "time each", unit: .nanoseconds)]

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any IteratesAsCompleted }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    [try measurePending(plan) { (contestant as! any IteratesAsCompleted).makeAsCompleted($0) }]
  }
}
