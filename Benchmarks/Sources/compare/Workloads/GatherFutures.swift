import Dispatch
import Foundation

/// Can wait for many futures in one go.
protocol GathersFutures: Contestant {
  func makeGather(_ count: Int) -> PendingFutures
}

/// Futures that exist and are not done.
struct PendingFutures {
  /// Completes one with its number.
  var complete: @Sendable (Int) -> Void
  /// Starts to wait for all, calls its argument, and returns the sum of the values when it has them.
  var consume: (_ ready: () -> Void) -> Int
}

struct GatherFutures: Workload {
  let name = "gather"
  let title = "Gather 100,000 futures"
  let text = """
    100,000 pending futures exist. Timed from building the gathering future, while another thread completes them, until \
    all values are summed. Dispatch: a group that is entered and left, the values in an array.
    """
  let metrics = [Metric(name: "time each", unit: .nanoseconds)]

  func operations(at point: Int) -> Int { 100_000 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any GathersFutures }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    [try measurePending(plan) { (contestant as! any GathersFutures).makeGather($0) }]
  }
}

func measurePending(_ plan: Plan, _ make: (Int) -> PendingFutures) throws -> Reading {
  let count = plan.operations
  var elapsed = Elapsed()
  for _ in 0..<3 {  // the last one counts
    let futures = make(count)
    let go = DispatchSemaphore(value: 0)
    let completed = DispatchSemaphore(value: 0)
    let complete = futures.complete
    Thread.detachNewThread {
      go.wait()
      for i in 0..<count { complete(i) }
      completed.signal()
    }
    usleep(2000)
    let watch = Stopwatch()
    let sum = futures.consume { go.signal() }
    elapsed = watch.stop()
    completed.wait()
    try expect(sum, triangle(count) - count, plan.workload)
  }
  return elapsed.timeEach(count)
}
