#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Raw memory that grows at its end and has one owner.
///
/// Not an `[UInt8]`: storing a few bytes must be a pointer store, without a uniqueness check, a bounds check or zeroing,
/// and `realloc` can move large blocks by remapping pages.
struct ByteBuffer: ~Copyable, @unchecked Sendable {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var count = 0
  private(set) var capacity = 0

  /// An empty buffer that owns no memory yet.
  init() {
    base = UnsafeMutableRawPointer(bitPattern: 16)!
  }

  init(capacity: Int) {
    self.init()
    if capacity > 0 { reserve(capacity) }
  }

  deinit {
    if capacity > 0 { free(base) }
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Makes room for `extra` bytes after the contents.
  @inline(__always)
  mutating func reserve(_ extra: Int) {
    if capacity &- count < extra { grow(extra) }
  }

  @inline(never)
  private mutating func grow(_ extra: Int) {
    let wanted = max(count + extra, capacity * 2, 256)
    guard let moved = realloc(capacity > 0 ? base : nil, wanted) else {
      fatalError("ConcurrentFutures: out of memory while growing a message to \(wanted) bytes")
    }
    base = moved
    capacity = wanted
  }

  /// Stores `value` unaligned behind the contents and counts only its first `byteCount` bytes.
  ///
  /// The caller has reserved room for the whole value.
  @inline(__always)
  mutating func appendReserved<V: BitwiseCopyable>(_ value: V, byteCount: Int) {
    base.storeBytes(of: value, toByteOffset: count, as: V.self)
    count &+= byteCount
  }

  @inline(__always)
  mutating func append(_ byte: UInt8) {
    reserve(1)
    appendReserved(byte, byteCount: 1)
  }

  @inline(__always)
  mutating func append<I: FixedWidthInteger & BitwiseCopyable>(littleEndian value: I) {
    reserve(MemoryLayout<I>.size)
    appendReserved(value.littleEndian, byteCount: MemoryLayout<I>.size)
  }

  @inline(__always)
  mutating func append(_ source: UnsafeRawBufferPointer) {
    guard let start = source.baseAddress, source.count > 0 else { return }
    reserve(source.count)
    memcpy(base + count, start, source.count)
    count &+= source.count
  }

  /// Appends seven bits a byte, low ones first; all bytes but the last have their high bit set.
  @inline(__always)
  mutating func append(varint value: Int) {
    reserve(10)
    if value < 0x80 {
      appendReserved(UInt8(truncatingIfNeeded: value), byteCount: 1)
    } else {
      appendLong(varint: UInt64(value))
    }
  }

  @inline(never)
  private mutating func appendLong(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      appendReserved(UInt8(truncatingIfNeeded: rest) | 0x80, byteCount: 1)
      rest >>= 7
    }
    appendReserved(UInt8(rest), byteCount: 1)
  }

  /// Makes room for `byteCount` bytes before those at `offset` and moves the rest up.
  mutating func openGap(at offset: Int, byteCount: Int) {
    reserve(byteCount)
    memmove(base + offset + byteCount, base + offset, count - offset)
    count += byteCount
  }

  @inline(__always)
  mutating func store<I: FixedWidthInteger & BitwiseCopyable>(littleEndian value: I, at offset: Int) {
    base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: I.self)
  }

  /// Drops everything from `newCount` on; the memory stays.
  @inline(__always)
  mutating func truncate(to newCount: Int) {
    count = newCount
  }

  /// Counts bytes that were written behind the contents through `base`.
  @inline(__always)
  mutating func didWrite(_ byteCount: Int) {
    count &+= byteCount
  }
}
