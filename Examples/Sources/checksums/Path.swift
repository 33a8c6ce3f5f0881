#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A path as the system knows it: bytes, which need not be UTF-8.
struct Path: Sendable {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(_ string: String) { bytes = Array(string.utf8) }

  func appending(_ name: [UInt8]) -> Path {
    Path(bytes.last == UInt8(ascii: "/") ? bytes + name : bytes + [UInt8(ascii: "/")] + name)
  }

  /// Calls `body` with the path as a C string.
  func withCString<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    try (bytes + [0]).withUnsafeBufferPointer { buffer in
      try buffer.withMemoryRebound(to: CChar.self) { try body($0.baseAddress!) }
    }
  }
}

/// A system call that failed, and for which file.
struct FileError: Error, CustomStringConvertible {
  let path: Path
  let code: CInt

  init(_ path: Path, code: CInt = errno) {
    self.path = path
    self.code = code
  }

  var description: String {
    "\(String(decoding: escaped(path.bytes), as: UTF8.self)): \(String(cString: strerror(code)))"
  }
}
