struct ProcessPayload: Workload {
  let name = "process-payload"
  let title = "Large arguments and results by their size"
  let text = """
    An array of doubles is sent to a process, which returns every number doubled; bytes of both directions count. With \
    shared memory the process doubles the numbers in place, and the same bytes count. Python: arrays of numpy where it is installed; \
    otherwise `array.array`, of which it doubles only the last number, and no shared memory. Foundation: raw bytes through the pipes of a \
    new `Process`.
    """
  let metrics = [Metric(name: "rate", unit: .bytesPerSecond)]
  var sweep: Sweep? = Sweep(
    axis: "size of the array", points: [1 << 13, 1 << 16, 1 << 20, 1 << 23, 1 << 26],
    label: { $0 >= 1 << 20 ? "\($0 >> 20) MiB" : "\($0 >> 10) KiB" })
  let chart = ChartStyle.sweep(yAxis: "bytes per second, both ways")

  /// 256 MiB there and back in all, and no more than 2,000 arrays.
  func operations(at point: Int) -> Int { max(4, min(2000, (1 << 27) / point)) }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any RunsInProcesses }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let processes = (contestant as! any RunsInProcesses).makeProcesses(1)
    defer { processes.stop() }
    let numbers = (0..<(plan.point / 8)).map(Double.init)
    let last = numbers[numbers.count - 1] * 2
    return try processes.makeDoublings(numbers).map { variant, double in
      _ = try double()
      let watch = Stopwatch(workers: processes.identifiers)
      for _ in 0..<plan.operations {
        let found = try double()
        // What is in shared memory grows with every call.
        if found < last { throw WrongResult(description: "\(name): \(found) instead of \(last)") }
      }
      let elapsed = watch.stop()
      let bytes = Double(2 * plan.point * plan.operations)
      return elapsed.reading("rate", bytes / elapsed.wallSeconds, operations: plan.operations, variant: variant)
    }
  }
}
