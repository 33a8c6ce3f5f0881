/// Fills what may be left of a pair of cache lines (processors fetch them in pairs), so that fields before and after it do not
/// share one: a core that writes the one would take the other away from its readers.
struct CacheLinePadding {
  private let words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
  private let more: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
}
