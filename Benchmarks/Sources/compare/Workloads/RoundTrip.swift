/// Can submit one task and block for its result.
protocol MakesRoundTrips: Contestant {
  func makeRoundTrip(workers: Int) -> (Int) throws -> Int
}

/// Can submit one task and wait for its result only in asynchronous code.
protocol MakesAsyncRoundTrips: Contestant {
  func makeAsyncRoundTrip() -> @Sendable (Int) async -> Int
}

struct RoundTrip: Workload {
  let name = "latency"
  let title = "Round trip of one task"
  let text = """
    Submit one task to a pool of 2 workers, block until its result is there, again and again. Each trip is timed. Task \
    awaits instead of blocking.
    """
  let metrics = Trips.metrics
  let chart = ChartStyle.distribution

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool {
    contestant is any MakesRoundTrips || contestant is any MakesAsyncRoundTrips
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    try measureTrips(contestant, Trips(count: plan.operations)).readings(name)
  }
}

struct RoundTripAfterPause: Workload {
  let name = "latency-after-pause"
  let title = "Round trip of one task, after a millisecond without work"
  let text = """
    The same, but nothing is done for 1 ms before each trip, so that workers have gone to sleep. Wall and \
    processor time each include the pause, and so what a pool uses without work.
    """
  let metrics = Trips.metrics
  let chart = ChartStyle.distribution

  let isShared = false

  func operations(at point: Int) -> Int { 1_000 }
  func admits(_ contestant: any Contestant) -> Bool { RoundTrip().admits(contestant) }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    try measureTrips(contestant, Trips(count: plan.operations, pause: 1000)).readings(name)
  }
}

func measureTrips(_ contestant: any Contestant, _ asked: Trips) throws -> Trips {
  var trips = asked
  if let contestant = contestant as? any MakesRoundTrips {
    try trips.run(contestant.makeRoundTrip(workers: 2))
    return trips
  }
  let trip = (contestant as! any MakesAsyncRoundTrips).makeAsyncRoundTrip()
  return try blocking {
    var trips = asked
    await trips.run(trip)
    return trips
  }
}
