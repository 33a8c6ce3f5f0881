/// The coder with its buffers kept from one message to the next, as a pool's connection keeps them.
public final class Coder {
  private let encoder = WireEncoder()
  private let decoder = WireDecoder()
  private var buffer = ByteBuffer()

  /// A coder with empty buffers.
  public init() {}

  /// Encodes and returns the number of bytes.
  public func encode<T: Encodable>(_ value: T) throws -> Int {
    buffer.truncate(to: 0)
    _ = try encoder.encode(value, appendingTo: &buffer)
    return buffer.count
  }

  /// Decodes what was encoded last.
  public func decode<T: Decodable>(_ type: T.Type) throws -> T {
    try decoder.decode(type, from: buffer.bytes)
  }
}
