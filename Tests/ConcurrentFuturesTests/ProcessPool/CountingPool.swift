#if os(Linux) || os(macOS)
import FuturesTestLibc
import Synchronization

@testable import ConcurrentFutures

/// In a worker: how often each element has begun. Every worker has the same memory.
nonisolated(unsafe) private var begins: SharedArray<UInt32>?

/// In a worker: where elements wait.
nonisolated(unsafe) private var keptGate: SharedGate?

/// Gives a worker the memory where elements are counted, and a gate.
private struct CountingInitializer: ProcessTask {
  let counts: SharedArray<UInt32>
  let gate: SharedGate
  func run() throws -> Int {
    begins = counts
    keptGate = gate
    return 0
  }
}

/// In a worker: counts an element, and says how often it has begun with this time.
@discardableResult
func beginElement(_ element: Int) -> UInt32 {
  sharedTally(element) { $0.add(1, ordering: .sequentiallyConsistent).newValue }
}

/// In a worker: one of the numbers, which workers count up together.
func sharedTally<R>(_ index: Int, _ body: (borrowing Atomic<UInt32>) -> R) -> R { begins!.withTally(index, body) }

/// In a worker: blocks until the test opens the pool's gate.
func waitAtGate() { keptGate!.wait() }

extension SharedArray<UInt32> {
  fileprivate func withTally<R>(_ index: Int, _ body: (borrowing Atomic<UInt32>) -> R) -> R {
    withUnsafeMutableBufferPointer { counts in
      body(UnsafeRawPointer(counts.baseAddress! + index).assumingMemoryBound(to: Atomic<UInt32>.self).pointee)
    }
  }

  /// How often elements have begun, whoever may be counting.
  func begun(_ elements: Range<Int>) -> Int {
    elements.reduce(0) { sum, element in sum + withTally(element) { Int($0.load(ordering: .sequentiallyConsistent)) } }
  }
}

/// A pool whose workers count elements, in memory that the test sees.
///
/// - Parameter gate: where elements can wait. Workers are not replaced before it is open, so that nothing runs beside what waits.
func withCountingPool(
  _ count: Int, workers: Int = 2, options: ProcessPool.Options = ProcessPool.Options(), gate: SharedGate? = nil,
  _ body: (ProcessPool, SharedArray<UInt32>) async throws -> Void
) async throws {
  let counts = try SharedArray<UInt32>(repeating: 0, count: count)
  let initializer = CountingInitializer(counts: counts, gate: try gate ?? SharedGate())
  let spawns = Tally()
  let pool = makePool(workers: workers, initializer: initializer, options: options) {
    spawns.add() <= workers || gate?.isOpen ?? true ? 0 : EAGAIN
  }
  do { try await body(pool, counts) } catch {
    await pool.killWorkers()
    throw error
  }
  await pool.shutdown()
}
#endif
