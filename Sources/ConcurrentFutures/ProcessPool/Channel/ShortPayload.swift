#if os(Linux) || os(macOS)
/// A payload of a few bytes, held without memory of its own.
///
/// Most arguments and results are short. Memory that one thread allocates and another frees makes both wait for the
/// allocator's lock, so short payloads do not hold any.
struct ShortPayload: Sendable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  let count: Int

  static var most: Int { 32 }

  /// Nothing.
  init() { count = 0 }

  /// At most `most` bytes.
  init(copying bytes: UnsafeRawBufferPointer) {
    count = bytes.count
    withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
  }

  /// Nil for a message that is longer, or has more than its bytes.
  init?(_ message: EncodedMessage) {
    guard message.byteCount <= Self.most, message.segments.isEmpty, message.attachments.isEmpty else { return nil }
    self = message.withBytes { ShortPayload(copying: $0) }
  }

  @inline(__always)
  func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withUnsafeBytes(of: words) { try body(UnsafeRawBufferPointer(start: $0.baseAddress, count: count)) }
  }
}

/// A payload that is ready to be sent.
enum OutgoingPayload: Sendable {
  case short(ShortPayload)
  case message(EncodedMessage)

  init(_ message: EncodedMessage) {
    self = ShortPayload(message).map(OutgoingPayload.short) ?? .message(message)
  }
}
#endif
