/// Can run many tiny tasks.
protocol SubmitsTasks: Contestant {
  /// Whether the number of workers can be set.
  var choosesWorkers: Bool { get }
  /// A function that submits `increment(i)` for each `i`, keeps a handle of each, then waits for all, and returns their sum.
  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int
}

extension SubmitsTasks {
  var choosesWorkers: Bool { true }
}

struct TinyTasks: Workload {
  let name = "tiny-tasks"
  let title = "Many tiny tasks"
  let text =
    "One thread submits 500,000 tasks to 2 workers, keeps the future of each, then waits for all. TaskGroup has no handles."
  let metrics = [Metric(name: "rate", unit: .perSecond)]

  func operations(at point: Int) -> Int { 500_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any SubmitsTasks }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    [try measureBatches(contestant as! any SubmitsTasks, workers: 2, plan)]
  }
}

func measureBatches(_ contestant: any SubmitsTasks, workers: Int, _ plan: Plan) throws -> Reading {
  let batch = contestant.makeBatches(workers: workers)
  let warmUp = plan.operations / 10 + 1
  try expect(batch(0..<warmUp), triangle(warmUp), plan.workload)
  let watch = Stopwatch()
  let sum = batch(0..<plan.operations)
  let elapsed = watch.stop()
  try expect(sum, triangle(plan.operations), plan.workload)
  return elapsed.rate(plan.operations)
}
