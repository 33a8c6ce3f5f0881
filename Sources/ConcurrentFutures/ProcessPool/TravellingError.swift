#if os(Linux) || os(macOS)
/// An error on its way between processes.
struct TravellingError: Codable, Sendable {
  let error: any Error

  init(_ error: any Error) { self.error = error }

  /// How the error's type is named to the other side; nil if it cannot travel as itself.
  var type: TypeReference? { error is any Codable ? TypeReference(Swift.type(of: error)) : nil }

  /// For an error that cannot travel: what is said of it.
  var description: RemoteDescription {
    RemoteDescription(typeName: _typeName(Swift.type(of: error), qualified: true), message: String(describing: error))
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    if let type, let error = error as? any Encodable {
      var writer = ReferenceWriter()
      type.write(to: &writer)
      try container.encode(writer.bytes)
      try error.encode(to: container.superEncoder())
    } else {
      try container.encode([UInt8]())
      try container.encode(description.typeName)
      try container.encode(description.message)
    }
  }

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    let bytes = try container.decode([UInt8].self)
    if bytes.isEmpty {
      error =
        RemoteDescription(
          typeName: try container.decode(String.self), message: try container.decode(String.self)
        ).error
    } else if let type = bytes.withUnsafeBytes(Self.errorType) {
      error = try type.init(from: container.superDecoder())
    } else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "an error of a type that is not known here")
    }
  }

  /// The type that a reference names, if it is a Codable error: nothing else is ever decoded from a worker's word.
  static func errorType(_ bytes: UnsafeRawBufferPointer) -> (any (Error & Decodable).Type)? {
    var reader = ReferenceReader(bytes)
    guard let type = TypeReference(from: &reader)?.type else { return nil }
    return type as? any (Error & Decodable).Type
  }
}

/// What is said of an error that cannot travel.
struct RemoteDescription {
  let typeName: String
  let message: String

  init(typeName: String, message: String) {
    self.typeName = typeName
    self.message = message
  }

  /// `CancellationError` is not Codable, and has nothing but its type.
  var error: any Error {
    typeName == "Swift.CancellationError" ? CancellationError() : RemoteError(typeName: typeName, message: message)
  }

  var bytes: [UInt8] {
    var writer = ReferenceWriter()
    writer.write(typeName)
    writer.write(message)
    return writer.bytes
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    var reader = ReferenceReader(bytes)
    guard let typeName = reader.string(), let message = reader.string() else { return nil }
    self.init(typeName: typeName, message: message)
  }
}

/// What became of one element of a chunk.
enum ElementOutcome<R: Codable>: Codable {
  case value(R)
  case error(TravellingError)

  var result: Result<R, any Error> {
    switch self {
    case .value(let value): .success(value)
    case .error(let error): .failure(error.error)
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    switch self {
    case .value(let value):
      try container.encode(true)
      try container.encode(value)
    case .error(let error):
      try container.encode(false)
      try container.encode(error)
    }
  }

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    self =
      try container.decode(Bool.self)
      ? .value(container.decode(R.self)) : .error(container.decode(TravellingError.self))
  }
}

extension ElementOutcome: Sendable where R: Sendable {}
#endif
