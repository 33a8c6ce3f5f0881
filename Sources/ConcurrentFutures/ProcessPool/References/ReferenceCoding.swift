#if os(Linux) || os(macOS)
/// Bytes of references: numbers and strings, little-endian, lengths first.
struct ReferenceWriter {
  private(set) var bytes: [UInt8]

  init(bytes: [UInt8] = []) { self.bytes = bytes }

  mutating func write(byte: UInt8) { bytes.append(byte) }

  mutating func write(_ number: Int) {
    withUnsafeBytes(of: Int64(number).littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func write(_ string: String) {
    var string = string
    string.withUTF8 {
      write($0.count)
      bytes.append(contentsOf: $0)
    }
  }
}

/// Reads what `ReferenceWriter` wrote; nil instead of reading past the end.
struct ReferenceReader {
  private var rest: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  mutating func byte() -> UInt8? {
    guard let first = rest.first else { return nil }
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
    return first
  }

  mutating func number() -> Int? {
    guard rest.count >= 8 else { return nil }
    let value = rest.loadUnaligned(as: Int64.self)
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(8))
    return Int(exactly: Int64(littleEndian: value))
  }

  mutating func string() -> String? {
    guard let count = number(), count >= 0, count <= rest.count else { return nil }
    let text = String(decoding: rest.prefix(count), as: UTF8.self)
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    return text
  }

  /// What follows the numbers and strings.
  var remainder: UnsafeRawBufferPointer { rest }
}
#endif
