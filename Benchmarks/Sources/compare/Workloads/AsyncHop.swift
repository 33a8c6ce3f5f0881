/// Can run blocking code for asynchronous code.
protocol HopsAsync: Contestant {
  /// A function that suspends until `increment` of its argument has been called on a worker.
  func makeHop(workers: Int) -> @Sendable (Int) async throws -> Int
}

struct AsyncHop: Workload {
  let name = "hop"
  let title = "Async hop"
  let text = """
    One asynchronous task awaits a trivial call on a pool of 2 workers, again and again. Task stays on Swift's own pool and \
    starts a detached Task instead.
    """
  let metrics = [Metric(name: "rate", unit: .perSecond)] + Trips.metrics
  let chart = ChartStyle.distribution

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any HopsAsync }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let hop = (contestant as! any HopsAsync).makeHop(workers: 2)
    let trips = try blocking {
      var trips = Trips(count: plan.operations)
      try await trips.run(hop)
      return trips
    }
    return [trips.elapsed.rate(plan.operations)] + (try trips.readings(name))
  }
}
