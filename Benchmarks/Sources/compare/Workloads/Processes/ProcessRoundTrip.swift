struct ProcessRoundTrip: Workload {
  let name = "process-latency"
  let title = "Round trip of one task to another process"
  let text = """
    Submit one task (an integer in, an integer out) to a pool of 1 process, block until its result is there, again and \
    again. Each trip is timed. Foundation has no pool: a `Process` for each task, with pipes for argument and result.
    """
  let metrics = Trips.metrics
  let chart = ChartStyle.distribution

  func operations(at point: Int) -> Int { 20_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any RunsInProcesses }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let processes = (contestant as! any RunsInProcesses).makeProcesses(1)
    defer { processes.stop() }
    var trips = Trips(count: plan.operations)
    try trips.run(workers: { processes.identifiers }, processes.increment)
    return try trips.readings(name)
  }
}
