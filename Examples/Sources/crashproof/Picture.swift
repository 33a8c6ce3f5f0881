import BytePaths
import CBitmap

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What comes back from a worker: a picture's size and how many colours it shows.
struct Picture: Codable, Sendable {
  let width: Int
  let height: Int
  let colours: Int

  /// Reads and decodes a file. Runs in a worker, since anything may happen here.
  init(contentsOf path: Path) throws {
    let data = try contents(of: path)
    var bitmap = bitmap()
    let error = data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
      // Of an empty file there is no address; zero bytes of something else will do.
      withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { spare in
        let start = bytes.baseAddress ?? UnsafeRawPointer(spare.baseAddress!)
        return bitmap_decode(start.assumingMemoryBound(to: UInt8.self), bytes.count, &bitmap)
      }
    }
    if error != 0 { throw PictureError(message: String(cString: bitmap_error_text(error))) }
    defer { bitmap_free(&bitmap) }
    width = Int(bitmap.width)
    height = Int(bitmap.height)
    colours = Self.colours(of: bitmap)
  }

  private static func colours(of bitmap: bitmap) -> Int {
    let count = Int(bitmap.width) * Int(bitmap.height)
    let pixels = UnsafeBufferPointer(start: bitmap.pixels, count: count * Int(bitmap.bits) / 8)
    func colour(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32 {
      bytes.prefix(3).reduce(0) { $0 << 8 | UInt32($1) }
    }
    if bitmap.bits == 24 {
      return Set(stride(from: 0, to: pixels.count, by: 3).map { colour(pixels[$0..<$0 + 3]) }).count
    }
    let entries = UnsafeBufferPointer(start: bitmap.palette, count: 4 * Int(bitmap.colours))
    let palette = stride(from: 0, to: entries.count, by: 4).map { colour(entries[$0..<$0 + 4]) }
    // Swift's own arrays do not read beyond their end: they stop the process.
    return Set(pixels.map { palette[Int($0)] }).count
  }
}

private func contents(of path: Path) throws -> [UInt8] {
  func failure() -> PictureError {
    PictureError(message: "the file cannot be read: \(String(cString: strerror(errno)))")
  }
  guard let file = path.withCString({ fopen($0, "rb") }) else { throw failure() }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 64 * 1024)
  while true {
    let count = fread(&buffer, 1, buffer.count, file)
    bytes += buffer[..<count]
    if count < buffer.count { break }
  }
  if ferror(file) != 0 { throw failure() }
  return bytes
}

/// Why a file is no picture. It is Codable, so it arrives as itself.
struct PictureError: Error, Codable, CustomStringConvertible {
  let message: String
  var description: String { message }
}
