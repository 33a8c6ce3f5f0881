struct ProcessStart: Workload {
  let name = "process-start"
  let title = "Start and end of a pool of 2 processes"
  let text = """
    A new pool until its first result, and its shutdown; medians over 20 pools in each round. Wall and processor time each are of \
    both. Python: for each of its ways to start a process.
    """
  let metrics = [Metric(name: "first result", unit: .nanoseconds), Metric(name: "shutdown", unit: .nanoseconds)]

  let isShared = false

  func operations(at point: Int) -> Int { 20 }
  func admits(_ contestant: any Contestant) -> Bool {
    (contestant as? any RunsInProcesses).map { $0.keepsProcesses } ?? false
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let contestant = contestant as! any RunsInProcesses
    var starts: [Double] = []
    var ends: [Double] = []
    let all = Stopwatch()
    for i in 0..<plan.operations {
      let start = Stopwatch()
      let processes = contestant.makeProcesses(2)
      try expect(processes.increment(i), i + 1, name)
      starts.append(start.stop().wallSeconds)
      let end = Stopwatch()
      processes.stop()
      ends.append(end.stop().wallSeconds)
    }
    let elapsed = all.stop()
    return zip(metrics, [starts, ends]).map { metric, times in
      elapsed.reading(metric.name, Summary.median(times) * 1e9, operations: plan.operations)
    }
  }
}
