/// How much stack is left for the values within values.
struct StackBudget {
  private let start: UInt
  private let byteCount: UInt
  /// One, in memory, so that the compiler cannot know it.
  private let markerByteCount: Int

  init(byteCount: Int) {
    markerByteCount = 1
    start = StackBudget.here(1)
    self.byteCount = UInt(byteCount)
  }

  /// An address on the stack.
  ///
  /// Not that of a local variable: the address sanitizer moves those to its own memory. A block whose size is known only
  /// at run time stays on the stack.
  @inline(never)
  private static func here(_ markerByteCount: Int) -> UInt {
    withUnsafeTemporaryAllocation(byteCount: markerByteCount, alignment: 1) { UInt(bitPattern: $0.baseAddress!) }
  }

  /// Whether the calls since this was made have used more than they may.
  ///
  /// A distance beyond every plausible stack means that this runs on another one: then only the limit of levels counts.
  @inline(__always)
  var isExhausted: Bool {
    let used = start &- StackBudget.here(markerByteCount)
    return used > byteCount && used < 1 << 30
  }
}
