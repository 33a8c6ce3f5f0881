import BytePaths

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A part of a file.
struct Piece: Codable, Sendable {
  let path: Path
  let range: Range<Int>
}

/// What is to be counted: text files, in pieces that are small enough to be shared out evenly.
struct Input {
  private(set) var pieces: [Piece] = []
  private(set) var fileCount = 0
  private(set) var errors: [FileError] = []
  private static let pieceSize = 256 * 1024

  init(paths: [Path]) {
    for path in paths { add(path, isNamed: true) }
  }

  /// The package's directory as it was when this program was built, or the current directory if that is gone.
  static var ownPackage: Path {
    let package = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    return Path(access("\(package)/Package.swift", F_OK) == 0 ? package : ".")
  }

  private mutating func add(_ path: Path, isNamed: Bool) {
    var status = stat()
    if path.withCString({ isNamed ? stat($0, &status) : lstat($0, &status) }) != 0 {
      errors.append(FileError(path: path, code: errno))
    } else if status.st_mode & S_IFMT == S_IFDIR {
      guard let names = path.directoryNames() else {
        errors.append(FileError(path: path, code: errno))
        return
      }
      for name in names where name.first != UInt8(ascii: ".") { add(path.appending(name), isNamed: false) }
    } else if status.st_mode & S_IFMT == S_IFREG {
      addFile(path, size: Int(status.st_size))
    }
  }

  private mutating func addFile(_ path: Path, size: Int) {
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

  private func beginning(of path: Path) -> [UInt8]? {
    guard let file = path.withCString({ fopen($0, "rb") }) else { return nil }
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
