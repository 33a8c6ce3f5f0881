#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A path as the system knows it: bytes, which need not be UTF-8. It is Codable, so it can be sent to a worker process.
public struct Path: Codable, Sendable, Hashable {
  /// The path, without a terminating zero.
  public var bytes: [UInt8]

  /// A path of these bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  /// A path of a string's UTF-8.
  public init(_ string: String) { bytes = Array(string.utf8) }

  /// The path that an argument of the command line stands for: where it is not UTF-8, Swift has put other characters into the string.
  public init(argument: String) {
    self.init(argument)
    for index in 0..<Int(CommandLine.argc) {
      guard let original = CommandLine.unsafeArgv[index], String(cString: original) == argument else { continue }
      bytes = Array(UnsafeRawBufferPointer(start: original, count: strlen(original)))
    }
  }

  /// This path, a slash and a name.
  public func appending(_ name: [UInt8]) -> Path {
    Path(bytes.last == UInt8(ascii: "/") ? bytes + name : bytes + [UInt8(ascii: "/")] + name)
  }

  /// What stands behind the last slash.
  public var name: Path { Path(bytes.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []) }

  /// Calls `body` with the path as a C string.
  public func withCString<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    try (bytes + [0]).withUnsafeBufferPointer { buffer in
      try buffer.withMemoryRebound(to: CChar.self) { try body($0.baseAddress!) }
    }
  }

  /// Names in a directory, sorted by their bytes, without `.` and `..`; nil with `errno` if it cannot be read.
  public func directoryNames() -> [[UInt8]]? {
    guard let directory = withCString({ opendir($0) }) else { return nil }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else { break }
      let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
      let name = Array(UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
      if name != [UInt8(ascii: ".")], name != Array("..".utf8) { names.append(name) }
    }
    return errno == 0 ? names.sorted { $0.lexicographicallyPrecedes($1) } : nil
  }
}

extension Path: CustomStringConvertible {
  /// For people: of a path that is not UTF-8, bytes that are not ASCII as `\xE9`.
  public var description: String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return bytes.map { byte in
      byte < 0x80 ? String(UnicodeScalar(byte)) : "\\x" + String(byte, radix: 16, uppercase: true)
    }.joined()
  }
}
