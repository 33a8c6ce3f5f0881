#if os(Linux) || os(macOS)
import CProcessSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The other side broke the protocol: positions that cannot be, frames that do not exist.
struct ChannelViolation: Error {
  let what: String
}

/// The writing end of a ring of bytes in shared memory. One thread at a time.
///
/// The ring is mapped twice in a row, so that what wraps around its end is still contiguous.
struct RingWriter {
  let bytes: UnsafeMutableRawPointer
  let control: RingControl
  private var head: UInt64 = 0
  private var tail: UInt64 = 0
  /// The consumer slept and was taken on to be woken: its doorbell is to be rung.
  var pendingDoorbell = false

  init(bytes: UnsafeMutableRawPointer, control: RingControl) {
    self.bytes = bytes
    self.control = control
  }

  private static var capacity: UInt64 { UInt64(ChannelMemory.ringSize) }
  /// The producer's own position.
  var position: UInt64 { head }
  /// The consumer's position when it was last read.
  var seenTail: UInt64 { tail }

  /// Free bytes; reads the other side's position only when fewer than `wanted` are known to be free.
  @inline(__always) mutating func room(for wanted: Int) throws(ChannelViolation) -> Int {
    if Self.capacity &- (head &- tail) < UInt64(wanted) {
      let seen = cp_load64(control.tail)
      guard head &- seen <= Self.capacity, seen >= tail else {
        throw ChannelViolation(what: "a position of the ring is out of range")
      }
      tail = seen
    }
    return Int(Self.capacity &- (head &- tail))
  }

  /// Where the next bytes go; contiguous for as many as there is room.
  @inline(__always) var cursor: UnsafeMutableRawPointer { bytes + Int(head % Self.capacity) }

  /// Hands `count` bytes at the cursor to the other side.
  @inline(__always) mutating func publish(_ count: Int) {
    head &+= UInt64(count)
    cp_store64(control.head, head)
  }
}

/// The reading end.
struct RingReader {
  let bytes: UnsafeMutableRawPointer
  let control: RingControl
  private var head: UInt64 = 0
  private var tail: UInt64 = 0
  /// A frame that is longer than the ring, on its way.
  private var partial: Partial?

  private struct Partial {
    var header: ChannelHeader
    var buffer: GrowingBuffer
    var padding: Int
  }

  init(bytes: UnsafeMutableRawPointer, control: RingControl) {
    self.bytes = bytes
    self.control = control
  }

  private static var capacity: UInt64 { UInt64(ChannelMemory.ringSize) }
  /// Frames up to this size wait in the ring until they are whole.
  static var inPlaceLimit: Int { ChannelMemory.ringSize / 2 }

  enum Next {
    case none
    /// The payload stands in the ring until `consume` gets the header's padded size.
    case inPlace(ChannelHeader, UnsafeRawBufferPointer)
    case copied(ChannelHeader, GrowingBuffer)
  }

  @inline(__always) var isEmpty: Bool { cp_load64(control.head) == tail }

  @inline(__always) private mutating func available() throws(ChannelViolation) -> Int {
    if head == tail { try refresh() }
    return Int(head &- tail)
  }

  @inline(__always) private mutating func refresh() throws(ChannelViolation) {
    let seen = cp_load64(control.head)
    guard seen &- tail <= Self.capacity, seen >= head else {
      throw ChannelViolation(what: "a position of the ring is out of range")
    }
    head = seen
  }

  /// The next whole frame. A long frame is moved out of the ring piece by piece, and takes memory only as its bytes arrive.
  @inline(__always) mutating func next() throws(ChannelViolation) -> Next {
    if partial != nil { return try continuePartial() }
    guard try available() > 0 else { return .none }
    let cursor = UnsafeRawPointer(bytes + Int(tail % Self.capacity))
    // A producer publishes whole headers: fewer bytes are a violation.
    guard head &- tail >= UInt64(ChannelHeader.size), let header = ChannelHeader(from: cursor) else {
      throw ChannelViolation(what: "a frame that does not exist")
    }
    if header.paddedSize > Self.inPlaceLimit {
      consume(ChannelHeader.size)
      partial = Partial(header: header, buffer: GrowingBuffer(), padding: header.paddedSize - ChannelHeader.size)
      return try continuePartial()
    }
    if head &- tail < UInt64(header.paddedSize) {
      try refresh()
      if head &- tail < UInt64(header.paddedSize) { return .none }
    }
    return .inPlace(header, UnsafeRawBufferPointer(start: cursor + ChannelHeader.size, count: header.length))
  }

  private mutating func continuePartial() throws(ChannelViolation) -> Next {
    while partial!.padding > 0 {
      try refresh()
      let ready = min(Int(head &- tail), partial!.padding)
      guard ready > 0 else { return .none }
      // In pieces, so that the producer can write on while this side copies.
      let piece = min(ready, 64 * 1024)
      let missing = partial!.header.length - partial!.buffer.count
      partial!.buffer.append(
        UnsafeRawBufferPointer(start: bytes + Int(tail % Self.capacity), count: min(piece, missing)),
        expecting: partial!.header.length)
      partial!.padding -= piece
      consume(piece)
      if control.takeWaitingProducer() { pendingDoorbell = true }
    }
    let done = partial!
    partial = nil
    return .copied(done.header, done.buffer)
  }

  /// The producer waited for room that is there now: its doorbell is to be rung.
  var pendingDoorbell = false

  /// Gives bytes back to the producer.
  @inline(__always) mutating func consume(_ count: Int) {
    tail &+= UInt64(count)
    cp_store64(control.tail, tail)
  }
}

/// Memory that grows as bytes arrive, so that a length that a hostile peer made up allocates nothing ahead of its bytes.
final class GrowingBuffer: @unchecked Sendable {
  private(set) var count = 0
  private var capacity = 0
  private(set) var base: UnsafeMutableRawPointer?

  func append(_ bytes: UnsafeRawBufferPointer, expecting total: Int) {
    if count + bytes.count > capacity {
      // The first 64 MiB on credit, which are no memory before they are written to; then at most three times what has come.
      capacity = min(max(total, count + bytes.count), max(64 << 20, 4 * (count + bytes.count)))
      guard let grown = realloc(base, capacity) else { fatalError("out of memory: \(capacity) bytes for a payload") }
      base = grown
    }
    if let source = bytes.baseAddress { memcpy(base! + count, source, bytes.count) }
    count += bytes.count
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  deinit { free(base) }
}
#endif
