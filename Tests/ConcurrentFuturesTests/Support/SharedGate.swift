import CFuturesTestSupport
import CPlatformSupport
import ConcurrentFutures
import Testing

/// A ``Gate`` between processes: it travels to a worker in a task, and whoever waits for it sleeps in the kernel.
///
/// Once open it stays open. In a worker nothing can be recorded: a wait that takes longer than ``patience`` returns false.
struct SharedGate: Codable, Sendable {
  private let memory: SharedArray<UInt32>

  init() throws { memory = try SharedArray(repeating: 0, count: 1) }

  var isOpen: Bool { withWord { cf_load_acquire($0) != 0 } }

  func open() {
    withWord { word in
      cf_store_release(word, 1)
      ct_wake_shared(word)
    }
  }

  /// Blocks this thread until the gate is open.
  @discardableResult
  func wait() -> Bool {
    let end = cf_now() + UInt64(patience) * 1_000_000_000
    return withWord { word in
      while cf_load_acquire(word) == 0 {
        let now = cf_now()
        if now >= end { return false }
        ct_wait_shared(word, 0, Int64(end - now))
      }
      // ThreadSanitizer runs the handler of a signal that has arrived only when a function like this one is called.
      _ = cf_now()
      return true
    }
  }

  /// Suspends until the gate is open. Records an issue where that takes too long: for the test's own side.
  @discardableResult
  func opened(sourceLocation: SourceLocation = #_sourceLocation) async -> Bool {
    let opened = (try? await onThread { wait() }) ?? false
    if !opened { Issue.record("a gate was never opened", sourceLocation: sourceLocation) }
    return opened
  }

  private func withWord<R>(_ body: (UnsafeMutablePointer<UInt32>) -> R) -> R {
    memory.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
  }
}
