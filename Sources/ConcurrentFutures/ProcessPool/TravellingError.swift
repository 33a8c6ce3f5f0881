#if os(Linux) || os(macOS)
/// An error on its way between processes.
struct TravellingError {
  let error: any Error

  init(_ error: any Error) { self.error = error }

  /// How the error's type is named to the other side; nil if it cannot travel as itself.
  var type: TypeReference? { error is any Codable ? TypeReference(Swift.type(of: error)) : nil }

  /// For an error that cannot travel: what is said of it.
  var description: RemoteDescription {
    RemoteDescription(typeName: _typeName(Swift.type(of: error), qualified: true), message: String(describing: error))
  }

  /// The type that a reference names, if it is a Codable error: nothing else is ever decoded from a worker's word.
  static func errorType(_ bytes: UnsafeRawBufferPointer) -> (any (Error & Decodable).Type)? {
    var reader = ReferenceReader(bytes)
    guard let type = TypeReference(from: &reader)?.type else { return nil }
    return type as? any (Error & Decodable).Type
  }
}

/// The text of an error for somebody who cannot see its type.
///
/// A value that refuses to encode is named by its type and place: its own description may be as long as the payload.
func describe(_ error: any Error) -> String {
  guard case EncodingError.invalidValue(let value, let context) = error else { return String(describing: error) }
  let path = context.codingPath.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }
  let place = path.isEmpty ? "" : " at \(path.joined(separator: "."))"
  return "a value of type \(type(of: value))\(place) does not encode: \(context.debugDescription)"
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
#endif
