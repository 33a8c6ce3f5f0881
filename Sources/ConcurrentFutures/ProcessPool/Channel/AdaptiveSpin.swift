#if os(Linux) || os(macOS)
import CPlatformSupport

/// Whether to look again for a while before sleeping.
///
/// Waking a sleeping process costs 4 to 50 µs, so where the next message mostly comes sooner, looking for it is cheaper
/// for both sides. A spin that found nothing was wasted: after a few of these in a row only every sixteenth wait spins.
struct AdaptiveSpin {
  private var failures = 0
  /// How long a spin lasts at most, in nanoseconds.
  private let limit: UInt64
  private let isUseful: Bool

  init(limit: UInt64 = 50_000, isUseful: Bool = Self.isUseful) {
    self.limit = limit
    self.isUseful = isUseful
  }

  /// With one core, who spins keeps the other side from its work.
  static let isUseful = CPUCount.available > 1

  /// Whether the condition came true while spinning.
  @inline(__always)
  mutating func spin(_ condition: () -> Bool) -> Bool {
    guard isUseful else { return false }
    if failures >= 4, failures & 15 != 0 {
      failures &+= 1
      return false
    }
    return spinNow(condition)
  }

  @inline(__always)
  private mutating func spinNow(_ condition: () -> Bool) -> Bool {
    var look = 0
    var end: UInt64 = 0
    while true {
      if condition() {
        failures = 0
        return true
      }
      look += 1
      if look & 63 != 0 {
        cf_pause()
        continue
      }
      // The other side may need this very core.
      sched_yield()
      let now = cf_now()
      if end == 0 { end = now &+ limit }
      if now >= end { break }
    }
    failures &+= 1
    return false
  }
}
#endif
