#if os(Linux) || os(macOS)
/// What stands in front of a message that has segments, behind the prefix: the message's size, and what each segment is.
struct PayloadLayout {
  struct Segment {
    let byteCount: Int
    /// Only a hint for the receiver, which may get the bytes to where they will be used.
    let element: ElementCode
  }

  let messageByteCount: Int
  let segments: [Segment]

  init(_ message: EncodedMessage) {
    messageByteCount = message.byteCount
    segments = message.segments.map { Segment(byteCount: $0.bytes.count, element: $0.element) }
  }

  var segmentByteCount: Int { segments.reduce(0) { $0 + $1.byteCount } }

  private static func byteCount(segments: Int) -> Int { 8 * (1 + segments) }

  func write(to writer: inout ReferenceWriter) {
    writer.write(messageByteCount)
    for segment in segments { writer.write(segment.byteCount << 8 | Int(segment.element.rawValue)) }
  }

  /// How many bytes of a payload its prefix and its layout take; nil for a header that contradicts itself.
  static func end(in header: ChannelHeader) -> Int? {
    // Segments are long: many short ones would cost more memory than was sent.
    guard header.segments <= header.length / PayloadCoder.segmentThreshold else { return nil }
    let end = header.prefix + byteCount(segments: header.segments)
    return end <= header.length ? end : nil
  }

  /// `bytes` are the payload, as far as `end(in:)` at least. Nil for what contradicts the header.
  init?(_ header: ChannelHeader, _ bytes: UnsafeRawBufferPointer) {
    guard let end = Self.end(in: header), end <= bytes.count else { return nil }
    var reader = ReferenceReader(UnsafeRawBufferPointer(rebasing: bytes[header.prefix..<end]))
    guard let messageByteCount = reader.number(), messageByteCount >= 0 else { return nil }
    self.messageByteCount = messageByteCount
    var left = header.length - end - messageByteCount
    var segments: [Segment] = []
    for _ in 0..<header.segments {
      guard let number = reader.number(), number >> 8 >= PayloadCoder.segmentThreshold, number >> 8 <= left else {
        return nil
      }
      let element = ElementCode(rawValue: UInt8(truncatingIfNeeded: number))
      segments.append(Segment(byteCount: number >> 8, element: element))
      left -= number >> 8
    }
    guard left == 0 else { return nil }
    self.segments = segments
  }
}
#endif
