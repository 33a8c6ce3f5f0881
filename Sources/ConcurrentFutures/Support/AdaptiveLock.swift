import CPlatformSupport

/// A lock for the short critical sections of a pool's queue: spins briefly, then sleeps.
///
/// `Synchronization.Mutex` of Swift 6.3 is a priority-inheritance futex on Linux, which hands a contended lock from thread to
/// thread through the kernel (swiftlang/swift#88440: 403 ms against 1.2 ms). This is the three-state futex lock of Ulrich
/// Drepper's "Futexes are tricky": 0 free, 1 taken, 2 taken and somebody sleeps.
struct AdaptiveLock: @unchecked Sendable {
  private let word: UnsafeMutablePointer<UInt32>

  init() {
    // A cache line of its own, so that the lock's traffic does not slow the neighbours down.
    let raw = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
    word = raw.bindMemory(to: UInt32.self, capacity: 1)
    word.initialize(to: 0)
  }

  func destroy() { UnsafeMutableRawPointer(word).deallocate() }

  @inline(__always)
  func lock() {
    if !cf_compare_exchange(word, 0, 1) { lockContended() }
  }

  @inline(__always)
  func unlock() {
    if cf_exchange(word, 0) == 2 { cf_wake(word, false) }
  }

  @inline(__always)
  func withLock<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  @inline(never)
  private func lockContended() {
    var spins = CPUCount.available > 1 ? 100 : 0
    while spins > 0 {
      if cf_load_relaxed(word) == 0, cf_compare_exchange(word, 0, 1) { return }
      cf_pause()
      spins -= 1
    }
    while cf_exchange(word, 2) != 0 { cf_wait(word, 2, -1) }
  }
}

/// A value behind an ``AdaptiveLock``.
final class AdaptivelyLocked<Value>: @unchecked Sendable {
  private let lock = AdaptiveLock()
  @exclusivity(unchecked) private var value: Value

  init(_ value: Value) { self.value = value }
  deinit { lock.destroy() }

  @inline(__always)
  func withLock<R: ~Copyable, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
    lock.lock()
    defer { lock.unlock() }
    return try body(&value)
  }
}
