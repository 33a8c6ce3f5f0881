import Foundation

struct IdlePool: Workload {
  let name = "idle"
  let title = "A pool with nothing to do"
  let text = """
    1,000 round trips, and then the processor time of a second without work, with all threads and processes of the pool.
    """
  let metrics = [Metric(name: "CPU time in a second", unit: .nanoseconds)]

  let isShared = false

  /// Milliseconds without work.
  func operations(at point: Int) -> Int { 1000 }
  func admits(_ contestant: any Contestant) -> Bool {
    contestant is any MakesRoundTrips || (contestant as? any RunsInProcesses)?.keepsProcesses == true
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    var readings: [Reading] = []
    if let contestant = contestant as? any MakesRoundTrips {
      let trip = contestant.makeRoundTrip(workers: 2)
      try readings.append(rest("threads", plan, [], trip))
      withExtendedLifetime(trip) {}
    }
    if let contestant = contestant as? any RunsInProcesses, contestant.keepsProcesses {
      let processes = contestant.makeProcesses(2)
      // So that both are there.
      _ = try processes.incrementEach(0..<1000)
      try readings.append(rest("processes", plan, processes.identifiers, processes.increment))
      processes.stop()
    }
    return readings
  }

  private func rest(_ variant: String, _ plan: Plan, _ workers: [Int32], _ trip: (Int) throws -> Int) throws -> Reading {
    for i in 0..<plan.operations { _ = try trip(i) }
    let watch = Stopwatch(workers: workers)
    usleep(UInt32(max(10, plan.operations)) * 1000)
    let elapsed = watch.stop()
    return elapsed.reading(
      "CPU time in a second", elapsed.cpuSeconds / elapsed.wallSeconds * 1e9, operations: 1, variant: variant)
  }
}
