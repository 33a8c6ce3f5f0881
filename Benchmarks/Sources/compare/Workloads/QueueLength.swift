import CMeasure

/// Can queue tasks while none is running.
protocol QueuesTasks: Contestant {
  /// The longest queue that its memory and time allow.
  var longestQueue: Int { get }
  func makeBlockedQueue(workers: Int) -> any BlockedQueue
}

extension QueuesTasks {
  var longestQueue: Int { 10_000_000 }
}

/// A pool whose workers can be kept from running what is queued.
protocol BlockedQueue {
  /// Nothing that is submitted from now on starts.
  func block()
  /// Makes room for so many handles.
  func reserve(_ count: Int)
  /// Submits `increment(i)` for each `i` in `0..<count` and keeps a handle of each.
  func submit(_ count: Int)
  /// Lets the workers go, waits for all, drops the handles and returns the sum of the results.
  func drain() -> Int
}

struct QueueLength: Workload {
  let name = "queue-length"
  let title = "Cost of a task by the queue's length"
  let text = """
    The 2 workers are kept busy while so many tasks are queued; then they are let go. Timed: submitting, running and \
    collecting, per task; of it submitting alone; the heap that a queued task and its future take; and the size of the \
    whole process then. Who takes more than half a kilobyte for a task stops at a million, Python at 100,000.
    """
  let metrics = [
    Metric(name: "time each", unit: .nanoseconds), Metric(name: "to submit", unit: .nanoseconds),
    Metric(name: "memory", unit: .bytes), Metric(name: "resident size", unit: .megabytes),
  ]
  var sweep: Sweep? = lengths(upTo: 10_000_000)
  let chart = ChartStyle.sweep(yAxis: "time per task")
  let furtherCharts = [(metric: "memory", yAxis: "heap per queued task")]

  static func lengths(upTo longest: Int) -> Sweep {
    let lengths = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    return Sweep(axis: "tasks in the queue", points: lengths.filter { $0 <= longest })
  }

  /// At least so many, in repetitions of the queue's length.
  func operations(at point: Int) -> Int { 500_000 }
  func includes(_ contestant: any Contestant, at point: Int) -> Bool {
    point <= (contestant as? any QueuesTasks)?.longestQueue ?? 100_000
  }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any QueuesTasks }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let queue = (contestant as! any QueuesTasks).makeBlockedQueue(workers: 2)
    func once(_ count: Int) throws -> (submitting: Elapsed, all: Elapsed, bytes: Double, resident: Double) {
      queue.block()
      queue.reserve(count)
      let heap = measure_heap_bytes()
      let watch = Stopwatch()
      queue.submit(count)
      let submitting = watch.stop()
      let bytes = Double(measure_heap_bytes()) - Double(heap)
      let resident = Double(measure_resident_bytes())
      let rest = Stopwatch()
      let sum = queue.drain()
      let drained = rest.stop()
      try expect(sum, triangle(count), name)
      return (submitting, submitting + drained, bytes, resident)
    }
    // A long queue warms up with the first of its own tasks.
    _ = try once(min(plan.point, 1_000_000))
    var submitting = Elapsed()
    var all = Elapsed()
    var bytes = 0.0
    var resident = 0.0
    let repetitions = max(1, plan.operations / plan.point)
    for _ in 0..<repetitions {
      let one = try once(plan.point)
      submitting = submitting + one.submitting
      all = all + one.all
      bytes = max(bytes, one.bytes)
      resident = max(resident, one.resident)
    }
    let operations = repetitions * plan.point
    return [
      all.timeEach(operations),
      submitting.timeEach(operations, metric: "to submit"),
      submitting.reading("memory", bytes / Double(plan.point), operations: operations),
      submitting.reading("resident size", resident, operations: operations),
    ]
  }
}
