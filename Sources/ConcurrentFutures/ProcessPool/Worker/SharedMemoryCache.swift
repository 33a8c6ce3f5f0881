/// Memory objects that this process has mapped and may be sent again.
enum SharedMemoryCache {
  static func forget(_ number: UInt64) {}
}
