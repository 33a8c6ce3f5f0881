import Foundation

struct IdlePool: Workload {
  let name = "idle"
  let title = "A pool with nothing to do"
  let text = """
    1,000 round trips, and then nothing: the processor time of the pool's threads and processes in the first 100 ms, in \
    which they may still look for work, and in the second after that. Some tens of microseconds are the measuring itself.
    """
  let metrics = [
    Metric(name: "in a second of rest", unit: .nanoseconds), Metric(name: "in 100 ms before", unit: .nanoseconds),
  ]

  let isShared = false

  /// Round trips before the rest.
  func operations(at point: Int) -> Int { 1000 }
  func admits(_ contestant: any Contestant) -> Bool {
    contestant is any MakesRoundTrips || (contestant as? any RunsInProcesses)?.keepsProcesses == true
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    var readings: [Reading] = []
    if let contestant = contestant as? any MakesRoundTrips {
      let trip = contestant.makeRoundTrip(workers: 2)
      try readings += rest("threads", plan, [], trip)
      withExtendedLifetime(trip) {}
    }
    if let contestant = contestant as? any RunsInProcesses, contestant.keepsProcesses {
      let processes = contestant.makeProcesses(2)
      // So that both are there.
      _ = try processes.incrementEach(0..<1000)
      try readings += rest("processes", plan, processes.identifiers, processes.increment)
      processes.stop()
    }
    return readings
  }

  private func rest(
    _ variant: String, _ plan: Plan, _ workers: [Int32], _ trip: (Int) throws -> Int
  ) throws -> [Reading] {
    for i in 0..<plan.operations { _ = try trip(i) }
    let first = Stopwatch(workers: workers)
    usleep(100_000)
    let before = first.stop()
    let second = Stopwatch(workers: workers)
    // Shorter only where nothing but the shape counts.
    usleep(plan.operations < 50 ? 20_000 : 1_000_000)
    let rest = second.stop()
    return [
      rest.reading(metrics[0].name, rest.cpuSeconds * 1e9, operations: 1, variant: variant),
      before.reading(metrics[1].name, before.cpuSeconds * 1e9, operations: 1, variant: variant),
    ]
  }
}
