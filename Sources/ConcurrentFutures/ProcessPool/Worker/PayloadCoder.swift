#if os(Linux) || os(macOS)
import Synchronization

/// Encodes and decodes what travels between a parent and a worker.
///
/// Any thread may use it. The coders inside are for one thread at a time and cheaper to use again than to make, so a few are
/// kept: a thread takes one out and puts it back.
final class PayloadCoder: Sendable {
  static let shared = PayloadCoder()

  /// Arrays of at least this many bytes are not copied into a message, but from where they lie into the ring.
  static let segmentThreshold = 8 * 1024

  private let encoder = Spare<BufferedEncoder>()
  private let decoder = Spare<WireDecoder>()

  func encode<T: Encodable>(_ value: T) throws -> EncodedMessage {
    let encoder = encoder.take() ?? BufferedEncoder()
    defer { self.encoder.put(encoder) }
    return try checked(try encoder.encoder.encode(value), value)
  }

  /// The same for a value that is mostly short: then it takes no memory.
  func encodePayload<T: Encodable>(_ value: T) throws -> OutgoingPayload {
    let encoder = encoder.take() ?? BufferedEncoder()
    defer { self.encoder.put(encoder) }
    encoder.buffer.truncate(to: 0)
    let extras = try encoder.encoder.encode(value, appendingTo: &encoder.buffer)
    if encoder.buffer.count <= ShortPayload.most, extras.isEmpty {
      return .short(ShortPayload(copying: encoder.buffer.bytes))
    }
    var buffer = ByteBuffer()
    swap(&buffer, &encoder.buffer)
    return .message(
      try checked(EncodedMessage(buffer, segments: extras.segments, attachments: extras.attachments), value))
  }

  private func checked<T>(_ message: EncodedMessage, _ value: T) throws -> EncodedMessage {
    if message.attachments.count > DescriptorInbox.mostInOneMessage {
      let reason =
        "It holds \(message.attachments.count) shared arrays; one task can carry \(DescriptorInbox.mostInOneMessage). Put the data "
        + "of several into one."
      throw EncodingError.invalidValue(value, EncodingError.Context(codingPath: [], debugDescription: reason))
    }
    let size = message.segments.reduce(message.byteCount + 8 * (message.segments.count + 1)) { $0 + $1.bytes.count }
    if size > OutgoingFrame.largestPayload {
      let reason = "It takes \(size) bytes; a payload can have 4 GiB. Put it into a SharedArray."
      throw EncodingError.invalidValue(value, EncodingError.Context(codingPath: [], debugDescription: reason))
    }
    return message
  }

  func decode<T: Decodable>(_ type: T.Type, from payload: IncomingPayload) throws -> T {
    let decoder = decoder.take() ?? WireDecoder()
    defer { self.decoder.put(decoder) }
    return try decoder.decode(
      type, from: payload.message, segments: payload.takeSegments(), attachments: payload.attachments)
  }
}

private final class BufferedEncoder {
  let encoder = WireEncoder(segmentThreshold: PayloadCoder.segmentThreshold)
  @exclusivity(unchecked) var buffer = ByteBuffer()
}

/// Room for one object that threads pass to each other.
///
/// Who takes the word out has the object alone: an exchange gives each value to one thread. Putting it in releases what was done
/// to the object, taking it out acquires that. The look before is a hint.
private final class Spare<Object: AnyObject>: Sendable {
  private let word = Atomic<UInt>(0)

  func take() -> Object? {
    if word.load(ordering: .relaxed) == 0 { return nil }
    let bits = word.exchange(0, ordering: .acquiring)
    return UnsafeRawPointer(bitPattern: bits).map { Unmanaged<Object>.fromOpaque($0).takeRetainedValue() }
  }

  func put(_ object: Object) {
    let bits = UInt(bitPattern: Unmanaged.passRetained(object).toOpaque())
    let earlier = word.exchange(bits, ordering: .acquiringAndReleasing)
    if let earlier = UnsafeRawPointer(bitPattern: earlier) { Unmanaged<Object>.fromOpaque(earlier).release() }
  }

  deinit { _ = take() }
}
#endif
