struct AsyncHops: Workload {
  let name = "hops-1000"
  let title = "Async hop, 1,000 tasks at once"
  let text = "1,000 asynchronous tasks do the same at once, each 200 times."
  let metrics = [Metric(name: "rate", unit: .perSecond)]

  func operations(at point: Int) -> Int { 200_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any HopsAsync }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let hop = (contestant as! any HopsAsync).makeHop(workers: 2)
    let each = max(1, plan.operations / 1000)
    return try blocking {
      for i in 0..<1000 { _ = try await hop(i) }
      let watch = Stopwatch()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<1000 {
          group.addTask {
            var sum = 0
            for i in 0..<each { sum += try await hop(i) }
            try expect(sum, triangle(each), "hops-1000")
          }
        }
        try await group.waitForAll()
      }
      return [watch.stop().rate(each * 1000)]
    }
  }
}
