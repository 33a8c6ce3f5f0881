import CPlatformSupport

extension Duration {
  /// Nanoseconds, at most about 292 years; negative durations count as zero.
  @usableFromInline var clampedNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    if seconds < 0 || attoseconds < 0 { return 0 }
    let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let limit = UInt64(Int64.max) / 2
    if overflow { return limit }
    return min(product &+ UInt64(attoseconds / 1_000_000_000), limit)
  }
}

/// A point of the monotonic clock.
@usableFromInline
struct Deadline: Sendable, Comparable {
  let nanoseconds: UInt64

  init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
  @usableFromInline init(after duration: Duration) {
    self.init(nanoseconds: cf_now() &+ duration.clampedNanoseconds)
  }

  /// What remains, 0 when it has passed.
  var remaining: Int64 {
    let now = cf_now()
    return nanoseconds > now ? Int64(nanoseconds - now) : 0
  }

  @usableFromInline static func < (a: Deadline, b: Deadline) -> Bool { a.nanoseconds < b.nanoseconds }
}
