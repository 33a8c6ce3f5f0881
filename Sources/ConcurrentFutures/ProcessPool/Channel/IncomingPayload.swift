#if os(Linux) || os(macOS)
/// A payload that has arrived: where its parts lie.
struct IncomingPayload {
  /// What stands in front of the message.
  let prefix: UnsafeRawBufferPointer
  let message: UnsafeRawBufferPointer
  private let segments: Segments?
  let attachments: ReceivedAttachments?

  /// An object, so that whoever decodes them can make sure that nobody else has them afterwards.
  private final class Segments {
    var list: [IncomingSegment]
    init(_ list: [IncomingSegment]) { self.list = list }
  }

  /// `front` is the payload as far as the end of its message. Nil when the header and the payload contradict each other.
  private init?(
    _ header: ChannelHeader, _ front: UnsafeRawBufferPointer, _ attachments: ReceivedAttachments?,
    segments: (PayloadLayout) -> [IncomingSegment]?
  ) {
    guard header.prefix <= front.count else { return nil }
    self.attachments = attachments
    prefix = UnsafeRawBufferPointer(rebasing: front[..<header.prefix])
    guard header.segments > 0 else {
      guard front.count == header.length else { return nil }
      message = UnsafeRawBufferPointer(rebasing: front[header.prefix...])
      self.segments = nil
      return
    }
    guard let layout = PayloadLayout(header, front), let start = PayloadLayout.end(in: header),
      start + layout.messageByteCount <= front.count, let list = segments(layout)
    else { return nil }
    message = UnsafeRawBufferPointer(rebasing: front[start..<start + layout.messageByteCount])
    self.segments = Segments(list)
  }

  /// A payload that lies in one piece, and stays there while this is used.
  init?(_ header: ChannelHeader, _ bytes: UnsafeRawBufferPointer, attachments: ReceivedAttachments?) {
    guard bytes.count == header.length else { return nil }
    self.init(header, bytes, attachments) { layout in
      // The layout's numbers add up to the payload's length.
      var rest = bytes[(bytes.count - layout.segmentByteCount)...]
      return layout.segments.map { segment in
        defer { rest = rest.dropFirst(segment.byteCount) }
        return IncomingSegment(UnsafeRawBufferPointer(rebasing: rest.prefix(segment.byteCount)))
      }
    }
  }

  /// A payload that has come in pieces, and stays where it is while this is used.
  init?(_ payload: LongPayload, attachments: ReceivedAttachments?) {
    self.init(payload.header, payload.front, attachments) { _ in payload.takeSegments() }
  }

  /// The segments, which only the caller has then: an array that is one of them can be changed without a copy.
  func takeSegments() -> [IncomingSegment] {
    guard let segments else { return [] }
    defer { segments.list = [] }
    return segments.list
  }
}
#endif
