#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A part of a file.
struct Piece: Codable, Sendable {
  let path: String
  let range: Range<Int>
}

/// What is to be counted: text files, in pieces that are small enough to be shared out evenly.
struct Input {
  private(set) var pieces: [Piece] = []
  private(set) var fileCount = 0
  private(set) var errors: [FileError] = []
  private static let pieceSize = 256 * 1024

  init(paths: [String]) {
    for path in paths { add(path, isNamed: true) }
  }

  /// The package's directory as it was when this program was built, or the current directory if that is gone.
  static var ownPackage: String {
    let package = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    return FileManager.default.fileExists(atPath: "\(package)/Package.swift") ? package : "."
  }

  private mutating func add(_ path: String, isNamed: Bool) {
    var status = stat()
    if (isNamed ? stat(path, &status) : lstat(path, &status)) != 0 {
      errors.append(FileError(path: path, code: errno))
    } else if status.st_mode & S_IFMT == S_IFDIR {
      do {
        for name in try FileManager.default.contentsOfDirectory(atPath: path).sorted() where !name.hasPrefix(".") {
          add("\(path)/\(name)", isNamed: false)
        }
      } catch {
        errors.append(FileError(path: path, reason: "it cannot be listed"))
      }
    } else if status.st_mode & S_IFMT == S_IFREG {
      addFile(path, size: Int(status.st_size))
    }
  }

  private mutating func addFile(_ path: String, size: Int) {
    guard let beginning = beginning(of: path) else {
      errors.append(FileError(path: path, code: errno))
      return
    }
    // What grep goes by: text has no zero bytes.
    if beginning.contains(0) { return }
    fileCount += 1
    for start in stride(from: 0, to: size, by: Self.pieceSize) {
      pieces.append(Piece(path: path, range: start..<min(start + Self.pieceSize, size)))
    }
  }

  private func beginning(of path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }
}

/// Writes a line to standard error.
func note(_ text: String) {
  let bytes = Array("\(text)\n".utf8)
  _ = write(STDERR_FILENO, bytes, bytes.count)
}
