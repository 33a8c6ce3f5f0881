struct Workers: Workload {
  let name = "workers"
  let title = "Tiny tasks by workers"
  let text =
    "The same with 1 to 8 workers. Dispatch's global queue and Swift's own pool have one thread for each core: no figure."
  let metrics = [Metric(name: "rate", unit: .perSecond)]
  let sweep: Sweep? = Sweep(axis: "workers", points: [1, 2, 4, 8])
  let chart = ChartStyle.sweep(yAxis: "tasks per second")

  func operations(at point: Int) -> Int { 500_000 }
  func admits(_ contestant: any Contestant) -> Bool {
    (contestant as? any SubmitsTasks).map { $0.choosesWorkers } ?? false
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    [try measureBatches(contestant as! any SubmitsTasks, workers: plan.point, plan)]
  }
}
