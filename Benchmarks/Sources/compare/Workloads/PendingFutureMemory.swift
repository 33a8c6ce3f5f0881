import CMeasure

/// Has futures whose memory can be measured.
protocol KeepsPendingFutures: Contestant {
  /// Makes a store for so many futures; its memory does not count.
  func makeStore(_ count: Int) -> any FutureStore
}

protocol FutureStore {
  /// Fills the store with pending futures that have a callback each.
  func fill()
  /// Completes each with its number and returns the sum that their callbacks found.
  func complete() -> Int
}

struct PendingFutureMemory: Workload {
  let name = "memory"
  let title = "Memory of a pending future"
  let text = """
    The growth of the heap, with the allocator's overhead, by a pending future with one callback, whoever completes it kept \
    alive too; and the size of the whole process with 1,000,000 of them (Python: 50,000). Python: growth of its resident size.
    """
  let metrics = [Metric(name: "memory", unit: .bytes), Metric(name: "resident size", unit: .megabytes)]

  func operations(at point: Int) -> Int { 1_000_000 }
  func admits(_ contestant: any Contestant) -> Bool {
    contestant is any KeepsPendingFutures && measure_heap_bytes() > 0
  }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let store = (contestant as! any KeepsPendingFutures).makeStore(plan.operations)
    let before = measure_heap_bytes()
    let watch = Stopwatch()
    store.fill()
    let elapsed = watch.stop()
    let bytes = Double(measure_heap_bytes()) - Double(before)
    let resident = Double(measure_resident_bytes())
    try expect(store.complete(), triangle(plan.operations) - plan.operations, name)
    return [
      elapsed.reading("memory", bytes / Double(plan.operations), operations: plan.operations),
      elapsed.reading("resident size", resident, operations: plan.operations),
    ]
  }
}
