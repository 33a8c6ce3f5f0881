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
  /// "it sent a frame that does not exist"
  let what: String
}

/// The writing end of a ring of bytes in shared memory. One thread at a time.
///
/// **Ordering.** The producer copies bytes in and then stores `head` (release); a consumer that has loaded that `head` (acquire) reads
/// whole bytes. The consumer copies them out and then stores `tail` (release); a producer that has loaded that `tail` (acquire) writes
/// over bytes that nobody reads any more. Each position has one writer, and both only grow, so an old value is a safe one: the ring
/// seems emptier or fuller than it is. Who would sleep on that looks again behind a fence: see ``RingControl``.
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
      guard seen <= head, head - seen <= Self.capacity, seen >= tail else {
        throw ChannelViolation(what: "it moved a position of the ring out of range")
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
  /// Where the producer stood when its frame was not whole. An honest one publishes short frames whole, so nobody has to look
  /// again before it moves on.
  private var incompleteAt: UInt64?
  private var isSealed = false

  private struct Partial {
    let payload: LongPayload
    /// Bytes of the frame that have not been moved.
    var left: Int
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
    case moved(LongPayload)
  }

  /// Whether looking for a frame is of no use.
  @inline(__always) var isEmpty: Bool {
    let seen = isSealed ? head : cp_load64(control.head)
    return seen == tail || seen == incompleteAt
  }

  /// The producer is gone: what it has published by now still counts, and nothing that comes later, as another process may have
  /// the memory and go on writing.
  mutating func seal() throws(ChannelViolation) {
    try refresh()
    isSealed = true
  }

  @inline(__always) private mutating func available() throws(ChannelViolation) -> Int {
    if head == tail { try refresh() }
    return Int(head &- tail)
  }

  @inline(__always) private mutating func refresh() throws(ChannelViolation) {
    if isSealed { return }
    let seen = cp_load64(control.head)
    guard seen >= head, seen - tail <= Self.capacity else {
      throw ChannelViolation(what: "it moved a position of the ring out of range")
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
      throw ChannelViolation(what: "it sent a frame that does not exist")
    }
    if header.paddedSize > Self.inPlaceLimit {
      consume(ChannelHeader.size)
      partial = Partial(payload: LongPayload(header), left: header.paddedSize - ChannelHeader.size)
      return try continuePartial()
    }
    if head &- tail < UInt64(header.paddedSize) {
      try refresh()
      if head &- tail < UInt64(header.paddedSize) {
        incompleteAt = head
        return .none
      }
    }
    return .inPlace(header, UnsafeRawBufferPointer(start: cursor + ChannelHeader.size, count: header.length))
  }

  /// Moves at most this many bytes in one call, so that a worker with much to say leaves time for the others. More than a ring
  /// holds: what a dead worker has left is read in one call.
  private static var mostAtOnce: Int { 2 * ChannelMemory.ringSize }

  private mutating func continuePartial() throws(ChannelViolation) -> Next {
    var budget = Self.mostAtOnce
    let payload = partial!.payload
    while partial!.left > 0 {
      guard budget > 0 else { return .none }
      try refresh()
      let ready = min(Int(head &- tail), partial!.left)
      guard ready > 0 else { return .none }
      // In pieces, so that the producer can write on while this side copies.
      let piece = min(ready, 64 * 1024)
      let missing = payload.header.length - payload.count
      payload.append(UnsafeRawBufferPointer(start: bytes + Int(tail % Self.capacity), count: min(piece, missing)))
      partial!.left -= piece
      budget -= piece
      consume(piece)
      if control.takeWaitingProducer() { pendingDoorbell = true }
    }
    partial = nil
    return .moved(payload)
  }

  /// The producer waited for room that is there now: its doorbell is to be rung.
  var pendingDoorbell = false

  /// Gives bytes back to the producer.
  @inline(__always) mutating func consume(_ count: Int) {
    tail &+= UInt64(count)
    cp_store64(control.tail, tail)
  }
}
#endif
