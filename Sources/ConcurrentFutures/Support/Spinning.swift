import CPlatformSupport

/// Waiting for a condition without sleeping, for a bounded time.
///
/// Waking a thread that sleeps costs 4 to 50 µs; most short tasks are over sooner. A spin looks at the condition between
/// pause instructions and gives its core away now and then, since the thread that it waits for may need that very core.
/// With one core there is nothing to wait for and no spin at all.
@usableFromInline
enum Spinning {
  /// How long a spin may last, in nanoseconds: about what it costs to wake a thread on another core.
  static let limit: UInt64 = CPUCount.available > 1 ? 50_000 : 0

  /// Whether the condition came true while spinning.
  ///
  /// Where other threads want the core, giving it away may take milliseconds. The clock is read after each time, so that
  /// such a spin ends at once: who sleeps is woken as soon as it matters, who spins has to wait for its turn.
  @inline(__always)
  static func until(limit: UInt64 = limit, _ condition: () -> Bool) -> Bool {
    if limit == 0 { return condition() }
    var look = 0
    var start: UInt64 = 0
    while true {
      if condition() { return true }
      look += 1
      if look & 63 != 0 {
        cf_pause()
        continue
      }
      let now = cf_now()
      if start == 0 { start = now }
      if now &- start > limit { return condition() }
      sched_yield()
    }
  }
}
