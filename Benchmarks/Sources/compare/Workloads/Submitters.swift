import Dispatch
import Foundation

struct Submitters: Workload {
  let name = "submitters"
  let title = "Tiny tasks by submitting threads"
  let text = """
    500,000 tasks in all, submitted to 2 workers by 1 to 8 threads at once, each of which keeps its futures and then waits \
    for them.
    """
  let metrics = [Metric(name: "rate", unit: .perSecond)]
  let sweep: Sweep? = Sweep(axis: "submitting threads", points: [1, 2, 4, 8])
  let chart = ChartStyle.sweep(yAxis: "tasks per second")

  func operations(at point: Int) -> Int { 500_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any SubmitsTasks }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let batch = (contestant as! any SubmitsTasks).makeBatches(workers: 2)
    let each = plan.operations / plan.point
    _ = batch(0..<(each / 10 + 1))
    let start = DispatchSemaphore(value: 0)
    let ready = DispatchGroup()
    let done = DispatchGroup()
    let sums = (0..<plan.point).map { _ in Box(0) }
    for sum in sums {
      ready.enter()
      done.enter()
      Thread.detachNewThread {
        ready.leave()
        start.wait()
        sum.value = batch(0..<each)
        done.leave()
      }
    }
    ready.wait()
    let watch = Stopwatch()
    for _ in sums { start.signal() }
    done.wait()
    let elapsed = watch.stop()
    for sum in sums { try expect(sum.value, triangle(each), name) }
    return [elapsed.rate(each * plan.point)]
  }
}
