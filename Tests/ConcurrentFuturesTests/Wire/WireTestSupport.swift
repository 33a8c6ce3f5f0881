import Testing

@testable import ConcurrentFutures

/// The bytes of a message without segments.
func wireBytes<T: Encodable>(_ value: T, limits: WireLimits = .standard) throws -> [UInt8] {
  let message = try WireEncoder(limits: limits).encode(value)
  #expect(message.segments.isEmpty)
  return message.withBytes { Array($0) }
}

func wireValue<T: Decodable>(
  _ type: T.Type, _ bytes: [UInt8], limits: WireLimits = .standard, segments: [IncomingSegment] = [],
  attachments: ReceivedAttachments? = nil
) throws -> T {
  // A heap block of the exact size, so that the address sanitizer sees a read beyond the end.
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
  defer { copy.deallocate() }
  copy.copyBytes(from: bytes)
  return try WireDecoder(limits: limits).decode(
    type, from: UnsafeRawBufferPointer(copy), segments: segments, attachments: attachments)
}

extension WireDecoder {
  func decode<T: Decodable>(_ type: T.Type, from message: EncodedMessage) throws -> T {
    try message.withBytes { try decode(type, from: $0) }
  }
}

func roundTrip<T: Codable>(_ value: T) throws -> T {
  try wireValue(T.self, wireBytes(value))
}

func expectRoundTrip<T: Codable & Equatable>(
  _ value: T, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let decoded = try roundTrip(value)
  #expect(decoded == value, sourceLocation: sourceLocation)
}

/// The coding path of an error, joined by slashes, and its description.
func place(of error: any Error) -> (path: String, description: String) {
  let path: [any CodingKey]
  let description: String
  switch error {
  case DecodingError.keyNotFound(let key, let context):
    path = context.codingPath + [key]
    description = context.debugDescription
  case DecodingError.dataCorrupted(let context), DecodingError.typeMismatch(_, let context),
    DecodingError.valueNotFound(_, let context):
    path = context.codingPath
    description = context.debugDescription
  case EncodingError.invalidValue(_, let context):
    path = context.codingPath
    description = context.debugDescription
  default: return ("?", "\(error)")
  }
  return (path.map(\.stringValue).joined(separator: "/"), description)
}
