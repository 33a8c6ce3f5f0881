#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The hook for types of this library that travel as a descriptor.
///
///     func encode(to encoder: any Encoder) throws {
///       let index = try encoder.attach(descriptor, keptOpenBy: self, encoding: self)
///       var container = encoder.unkeyedContainer()
///       try container.encode(index)
///     }
///
///     init(from decoder: any Decoder) throws {
///       var container = try decoder.unkeyedContainer()
///       let descriptor = try decoder.takeAttachment(at: container.decode(Int.self))
///     }
extension Encoder {
  /// Sends a descriptor along with the message and returns the index by which the other side finds it.
  ///
  /// The descriptor stays the owner's: the message keeps `owner` alive, and with it the descriptor open, until the
  /// message was sent. Throws `EncodingError` when the encoder is not one that writes to a worker process.
  func attach(
    _ descriptor: Int32, keptOpenBy owner: any AnyObject & Sendable, encoding value: Any
  ) throws -> Int {
    guard let encoder = self as? ValueEncoder else {
      let description =
        "\(type(of: value)) refers to memory of this machine: it can only travel to and from a worker process, "
        + "not through \(type(of: self))."
      throw EncodingError.invalidValue(
        value, EncodingError.Context(codingPath: codingPath, debugDescription: description))
    }
    let index = encoder.wire.state.pointee.attachments.count
    encoder.wire.state.pointee.attachments.append(
      EncodedMessage.Attachment(descriptor: descriptor, owner: owner))
    return index
  }
}

extension Decoder {
  /// Takes a descriptor out of the message; the caller must close it.
  ///
  /// Each can be taken once. Throws `DecodingError` when there is none at `index`, or when the decoder is not one that
  /// reads from a worker process.
  func takeAttachment(at index: Int) throws -> Int32 {
    guard let decoder = self as? ValueDecoder else {
      let description = "This value can only be decoded from a message of a worker process."
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: codingPath, debugDescription: description))
    }
    guard let descriptor = decoder.wire.state.pointee.attachments?.take(index) else {
      let description = "The message has no descriptor at index \(index), or it was taken before."
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: codingPath, debugDescription: description))
    }
    return descriptor
  }
}

/// The descriptors that came with a message.
///
/// It owns them: those that were not taken are closed with it. It belongs to one thread at a time, as the message it came with.
final class ReceivedAttachments: @unchecked Sendable {
  /// -1 stands for one that was taken.
  private var descriptors: [Int32]

  init(_ descriptors: [Int32]) {
    self.descriptors = descriptors
  }

  deinit {
    for descriptor in descriptors where descriptor >= 0 { _ = close(descriptor) }
  }

  /// Hands over the descriptor at `index`, or nil if there is none (any more).
  func take(_ index: Int) -> Int32? {
    guard descriptors.indices.contains(index), descriptors[index] >= 0 else { return nil }
    defer { descriptors[index] = -1 }
    return descriptors[index]
  }
}
