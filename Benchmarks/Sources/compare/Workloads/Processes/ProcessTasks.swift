struct ProcessTasks: Workload {
  let name = "process-tasks"
  let title = "Many tiny tasks in 2 processes"
  let text = """
    One thread submits 100,000 tasks (an integer in, an integer out) one by one to 2 processes, keeps the future of each, then \
    waits for all. Foundation: two threads, each of which starts one `Process` after the other.
    """
  let metrics = [Metric(name: "rate", unit: .perSecond)]

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any RunsInProcesses }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let processes = (contestant as! any RunsInProcesses).makeProcesses(2)
    defer { processes.stop() }
    let reading = try measureIncrements(processes, plan.operations, name, nil, processes.incrementEach)
    return [reading]
  }
}

struct ProcessWorkers: Workload {
  let name = "process-workers"
  let title = "Tiny tasks by worker processes"
  let text = "The same with 1 to 8 processes. Foundation, which has none to keep: no figure."
  let metrics = [Metric(name: "rate", unit: .perSecond)]
  let sweep: Sweep? = Sweep(axis: "worker processes", points: [1, 2, 4, 8])
  let chart = ChartStyle.sweep(yAxis: "tasks per second")

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool {
    (contestant as? any RunsInProcesses).map { $0.keepsProcesses } ?? false
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let processes = (contestant as! any RunsInProcesses).makeProcesses(plan.point)
    defer { processes.stop() }
    return [try measureIncrements(processes, plan.operations, name, nil, processes.incrementEach)]
  }
}

struct ProcessMap: Workload {
  let name = "process-map"
  let title = "Chunked map over 2 processes"
  let text = """
    The integers below 1,000,000 are mapped by 2 processes, 1,000 at a time; and with chunks that the pool sizes itself, where it \
    does that. Foundation: a `Process` for each chunk.
    """
  let metrics = [Metric(name: "rate", unit: .perSecond)]

  func operations(at point: Int) -> Int { 1_000_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any RunsInProcesses }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let processes = (contestant as! any RunsInProcesses).makeProcesses(2)
    defer { processes.stop() }
    return try processes.maps.map { variant, map in
      try measureIncrements(processes, max(2000, plan.operations), name, variant, map)
    }
  }
}

/// A tenth to warm up, then all, with the processes' own processor time.
private func measureIncrements(
  _ processes: any ProcessRunning, _ count: Int, _ what: String, _ variant: String?, _ run: (Range<Int>) throws -> Int
) throws -> Reading {
  let warmUp = count / 10 + 1
  try expect(run(0..<warmUp), triangle(warmUp), what)
  let watch = Stopwatch(workers: processes.identifiers)
  let sum = try run(0..<count)
  let elapsed = watch.stop()
  try expect(sum, triangle(count), what)
  return elapsed.rate(count, variant: variant)
}
