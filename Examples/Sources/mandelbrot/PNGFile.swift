#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Writes a PNG of 8-bit RGB row by row, uncompressed: deflate has blocks that are stored as they are, so all that it takes is
/// two checksums.
///
/// Format: https://www.w3.org/TR/png-3/, RFC 1950 (zlib), RFC 1951 (deflate).
///
/// The picture is written beside its place, under another name, and takes its place when it is whole: nobody finds half of one, and an
/// older one stays when this one fails.
final class PNGFile {
  private let path: String
  /// Where it is written; nil where the place is no file that could be replaced, such as /dev/stdout.
  private var temporaryPath: String?
  private var file: UnsafeMutablePointer<FILE>?
  private let rowSize: Int
  private var adler = Adler32()

  init(path: String, width: Int, height: Int) throws(FileError) {
    self.path = Self.resolved(path)
    var status = stat()
    let mayReplace = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
    temporaryPath = mayReplace ? "\(self.path).\(getpid()).part" : nil
    file = fopen(temporaryPath ?? path, "wb")
    if file == nil { throw FileError(path) }
    rowSize = 3 * width
    try write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
    // 8 bits, RGB, and the only compression, filters and order of rows that there are, or that are simple.
    try write(chunk: "IHDR", bigEndian(UInt32(width)) + bigEndian(UInt32(height)) + [8, 2, 0, 0, 0])
    // The zlib stream's header; the stream goes on through all chunks of data.
    try write(chunk: "IDAT", [0x78, 0x01])
  }

  deinit {
    if let file { fclose(file) }
    if let temporaryPath { unlink(temporaryPath) }
  }

  /// Behind symbolic links, which are not to be replaced.
  private static func resolved(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Adds whole rows.
  func append(_ pixels: [UInt8]) throws(FileError) {
    precondition(pixels.count % rowSize == 0, "only whole rows can be written")
    var data: [UInt8] = []
    data.reserveCapacity(pixels.count + pixels.count / rowSize)
    for start in stride(from: 0, to: pixels.count, by: rowSize) {
      data.append(0)  // no filter
      data += pixels[start..<start + rowSize]
    }
    adler.update(data)
    var blocks: [UInt8] = []
    for start in stride(from: 0, to: data.count, by: 0xFFFF) {
      let block = data[start..<min(start + 0xFFFF, data.count)]
      blocks += storedBlock(count: block.count, isLast: false) + block
    }
    try write(chunk: "IDAT", blocks)
  }

  /// Ends the file and puts it into its place. Without this there is none.
  func finish() throws(FileError) {
    try write(chunk: "IDAT", storedBlock(count: 0, isLast: true) + bigEndian(adler.value))
    try write(chunk: "IEND", [])
    let whole = file!
    file = nil
    if fclose(whole) != 0 { throw FileError(path) }
    if let temporaryPath, rename(temporaryPath, path) != 0 { throw FileError(path) }
    temporaryPath = nil
  }

  private func storedBlock(count: Int, isLast: Bool) -> [UInt8] {
    let low = UInt8(count & 0xFF)
    let high = UInt8(count >> 8)
    return [isLast ? 1 : 0, low, high, ~low, ~high]
  }

  private func write(chunk name: String, _ data: [UInt8]) throws(FileError) {
    let content = Array(name.utf8) + data
    try write(bigEndian(UInt32(data.count)) + content + bigEndian(crc32(content)))
  }

  private func write(_ bytes: [UInt8]) throws(FileError) {
    if fwrite(bytes, 1, bytes.count, file!) != bytes.count { throw FileError(path) }
  }
}

private func bigEndian(_ number: UInt32) -> [UInt8] {
  [UInt8(number >> 24), UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
}

/// The checksum of a zlib stream.
private struct Adler32 {
  private var a: UInt32 = 1
  private var b: UInt32 = 0

  var value: UInt32 { b << 16 | a }

  mutating func update(_ bytes: [UInt8]) {
    // So many additions fit into 32 bits.
    for start in stride(from: 0, to: bytes.count, by: 5552) {
      for byte in bytes[start..<min(start + 5552, bytes.count)] {
        a &+= UInt32(byte)
        b &+= a
      }
      a %= 65521
      b %= 65521
    }
  }
}

/// The checksum of a PNG chunk.
private func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(~0) { crc, byte in crcTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 }
}

private let crcTable: [UInt32] = (0..<256).map { (byte: UInt32) in
  (0..<8).reduce(byte) { crc, _ in crc & 1 == 1 ? 0xEDB8_8320 ^ crc >> 1 : crc >> 1 }
}

/// A file that could not be written, and why.
struct FileError: Error, CustomStringConvertible {
  let path: String
  let code: CInt

  init(_ path: String) {
    self.path = path
    code = errno
  }

  var description: String { "\(path): \(String(cString: strerror(code)))" }
}
