import CPlatformSupport

/// Waiting for a condition without sleeping, for a bounded time.
///
/// Waking a thread that sleeps costs 4 to 50 µs; most short tasks are over sooner. A spin looks at the condition between
/// pause instructions and gives its core away now and then, since the thread that it waits for may need that very core.
/// With one core there is nothing to wait for and no spin at all.
@usableFromInline
enum Spinning {
  /// Looks at the condition; some tens of microseconds in all.
  static let maximumLooks = CPUCount.available > 1 ? 1500 : 0

  /// Whether the condition came true while spinning.
  @inline(__always)
  static func until(looks: Int = maximumLooks, _ condition: () -> Bool) -> Bool {
    var look = 0
    while look < looks {
      if condition() { return true }
      look += 1
      if look & 63 == 0 { sched_yield() } else { cf_pause() }
    }
    return condition()
  }
}
