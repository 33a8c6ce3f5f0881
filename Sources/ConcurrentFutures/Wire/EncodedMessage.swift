/// One encoded value, ready to be sent: bytes, and what travels beside them.
///
/// Immutable, so that it can be encoded on one thread and sent from another.
final class EncodedMessage: @unchecked Sendable {
  private let buffer: ByteBuffer
  /// Array contents that were not copied into `bytes`, in the order of their indices.
  let segments: [Segment]
  /// Descriptors that the value refers to by index; they stay open as long as this message.
  let attachments: [Attachment]

  /// Elements of an array that is kept alive here, for a gather-write or a copy into shared memory.
  ///
  /// The address stays valid as long as `owner` does: a native array's storage never moves, and a mutation elsewhere
  /// finds the storage shared and copies it first.
  struct Segment: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    let element: ElementCode
    fileprivate let owner: Any

    init(bytes: UnsafeRawBufferPointer, element: ElementCode, owner: Any) {
      self.bytes = bytes
      self.element = element
      self.owner = owner
    }
  }

  /// A descriptor to send along.
  ///
  /// It still belongs to `owner`, which closes it in due time: sending gives the receiver a descriptor of its own.
  struct Attachment: Sendable {
    let descriptor: Int32
    fileprivate let owner: any AnyObject & Sendable

    init(descriptor: Int32, owner: any AnyObject & Sendable) {
      self.descriptor = descriptor
      self.owner = owner
    }
  }

  init(_ buffer: consuming ByteBuffer, segments: [Segment] = [], attachments: [Attachment] = []) {
    self.buffer = buffer
    self.segments = segments
    self.attachments = attachments
  }

  var byteCount: Int { buffer.count }

  /// Calls `body` with the message without its segments.
  ///
  /// Not a property: `message.bytes` as an argument would let the message go before the call.
  func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(buffer.bytes)
  }
}
