#if os(Linux) || os(macOS)
import CProcessSupport

/// A frame on its way into a ring: header, prefix, message, segments, each written from where it lies.
struct OutgoingFrame {
  var header: ChannelHeader
  private let prefix: [UInt8]
  private var short = ShortPayload()
  let message: EncodedMessage?
  /// How many bytes of the padded frame are in the ring.
  private var written = 0
  var hasSentDescriptors = false

  init(_ header: ChannelHeader, prefix: [UInt8] = [], message: EncodedMessage? = nil) {
    self.header = header
    self.message = message
    guard let message else {
      self.prefix = prefix
      self.header.prefix = prefix.count
      self.header.length = prefix.count
      return
    }
    self.header.descriptors = message.attachments.count
    var length = message.byteCount
    if message.segments.isEmpty {
      self.prefix = prefix
    } else {
      var writer = ReferenceWriter(bytes: prefix)
      let layout = PayloadLayout(message)
      layout.write(to: &writer)
      length += layout.segmentByteCount
      self.prefix = writer.bytes
      self.header.segments = message.segments.count
    }
    self.header.prefix = prefix.count
    self.header.length = length + self.prefix.count
  }

  init(_ header: ChannelHeader, short: ShortPayload) {
    self.header = header
    self.short = short
    prefix = []
    message = nil
    self.header.length = short.count
  }

  /// The largest payload that fits the header.
  static var largestPayload: Int { Int(UInt32.max) - 64 }
  var isTooLarge: Bool { header.length > Self.largestPayload }
  var isWhole: Bool { written == header.paddedSize }
  /// The room to wait for: all that a short frame needs, and a good piece for a long one.
  var wantedRoom: Int { header.paddedSize <= RingReader.inPlaceLimit ? header.paddedSize : Self.piece }

  /// Writes as much as there is room for. Short frames go in one piece or not at all; long ones in pieces, so that both
  /// sides copy at the same time.
  @inline(__always)
  mutating func write(to writer: inout RingWriter) throws(ChannelViolation) {
    let size = header.paddedSize
    if size <= RingReader.inPlaceLimit {
      guard try writer.room(for: size) >= size else { return }
      let cursor = writer.cursor
      header.store(to: cursor)
      copy(from: 0, count: header.length, to: cursor + ChannelHeader.size)
      written = size
      writer.publish(size)
    } else {
      try writePieces(to: &writer)
    }
  }

  private static var piece: Int { 64 * 1024 }

  private mutating func writePieces(to writer: inout RingWriter) throws(ChannelViolation) {
    if written == 0 {
      guard try writer.room(for: ChannelHeader.size) >= ChannelHeader.size else { return }
      header.store(to: writer.cursor)
      writer.publish(ChannelHeader.size)
      written = ChannelHeader.size
    }
    while !isWhole {
      let left = header.paddedSize - written
      let room = min(try writer.room(for: min(left, Self.piece)), left, Self.piece)
      guard room > 0 else { return }
      let start = written - ChannelHeader.size
      copy(from: start, count: max(0, min(room, header.length - start)), to: writer.cursor)
      writer.publish(room)
      written += room
      if writer.control.takeSleepingConsumer() { writer.pendingDoorbell = true }
    }
  }

  /// Copies a stretch of the payload, from whichever parts it lies in.
  @inline(__always)
  func copy(from start: Int, count: Int, to target: UnsafeMutableRawPointer) {
    var start = start
    var count = count
    var target = target
    @inline(__always) func take(_ part: UnsafeRawBufferPointer) {
      if start >= part.count {
        start -= part.count
        return
      }
      let taken = min(count, part.count - start)
      if taken > 0 {
        target.copyMemory(from: part.baseAddress! + start, byteCount: taken)
        target += taken
        count -= taken
      }
      start = 0
    }
    if !prefix.isEmpty { prefix.withUnsafeBytes { take($0) } }
    if self.short.count > 0 { self.short.withBytes { take($0) } }
    guard let message, count > 0 else { return }
    message.withBytes { take($0) }
    guard count > 0 else { return }
    for segment in message.segments where count > 0 { take(segment.bytes) }
  }
}
#endif
