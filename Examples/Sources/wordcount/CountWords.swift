import BytePaths
import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Counts the words that begin in a piece of a file: the task that threads and processes run.
struct CountWords: ProcessTask {
  let piece: Piece

  func run() throws -> [String: Int] {
    let file = try OpenFile(path: piece.path)
    // One byte more in front: if it belongs to a word, that word is somebody else's.
    let start = max(0, piece.range.lowerBound - 1)
    var bytes = try file.read(start..<piece.range.upperBound)
    var end = bytes.count
    if let last = bytes.last, isPartOfWord(last) {
      // And the rest of the last word.
      search: while true {
        let more = try file.read(start + bytes.count..<start + bytes.count + 4096)
        bytes += more
        while end < bytes.count, isPartOfWord(bytes[end]) { end += 1 }
        if more.isEmpty || end < bytes.count { break search }
      }
    }
    var text = bytes[..<end]
    if piece.range.lowerBound > 0 { text = text.drop(while: isPartOfWord) }
    return counts(of: text)
  }
}

/// Words of ASCII letters, digits and apostrophes, and whatever is not ASCII, which is looked at more closely.
private func isPartOfWord(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "'"), 0x80...: true
  default: false
  }
}

private func counts(of text: ArraySlice<UInt8>) -> [String: Int] {
  var counts: [String: Int] = [:]
  for token in text.split(whereSeparator: { !isPartOfWord($0) }) {
    if let word = asciiWord(token) {
      counts[word, default: 0] += 1
    } else if token.contains(where: { $0 >= 0x80 }) {
      for word in otherWords(token) { counts[word, default: 0] += 1 }
    }
  }
  return counts
}

/// The word in small letters, without quotation marks around it; nil without a letter, or with anything that is not ASCII.
private func asciiWord(_ token: ArraySlice<UInt8>) -> String? {
  let quote = UInt8(ascii: "'")
  var word = token.drop { $0 == quote }
  while word.last == quote { word.removeLast() }
  guard word.contains(where: { $0 >= UInt8(ascii: "A") }), word.allSatisfy({ $0 < 0x80 }) else { return nil }
  return String(unsafeUninitializedCapacity: word.count) { buffer in
    // In ASCII small letters differ from capital ones in this bit, which digits and the apostrophe have anyway.
    for (index, byte) in word.enumerated() { buffer[index] = byte | 0x20 }
    return word.count
  }
}

/// Words with other letters than ASCII's. Dashes and quotation marks that are not ASCII end words, too.
private func otherWords(_ token: ArraySlice<UInt8>) -> [String] {
  String(decoding: token, as: UTF8.self).lowercased()
    .split { !$0.isLetter && !$0.isNumber && $0 != "'" && $0 != "’" }
    .map { word in
      let start = word.drop { $0 == "'" || $0 == "’" }
      return String(start.reversed().drop { $0 == "'" || $0 == "’" }.reversed())
    }
    .filter { $0.contains(where: \.isLetter) }
}

/// A file that is open for reading.
private final class OpenFile {
  private let descriptor: CInt
  private let path: Path

  init(path: Path) throws {
    descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
    self.path = path
    if descriptor < 0 { throw FileError(path: path, code: errno) }
  }

  deinit { close(descriptor) }

  /// Fewer bytes at the end of the file.
  func read(_ range: Range<Int>) throws -> [UInt8] {
    var failure: CInt = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      while count < range.count {
        let more = pread(descriptor, buffer.baseAddress! + count, range.count - count, off_t(range.lowerBound + count))
        if more < 0 && errno == EINTR { continue }
        if more < 0 { failure = errno }
        if more <= 0 { return }
        count += more
      }
    }
    if failure != 0 { throw FileError(path: path, code: failure) }
    return bytes
  }
}

/// A file that could not be read, and why. It is Codable, so it comes back from a process as itself.
struct FileError: Error, Codable, CustomStringConvertible {
  let path: String
  let reason: String

  init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  init(path: Path, code: CInt) { self.init(path: path.description, reason: String(cString: strerror(code))) }

  var description: String { "\(path): \(reason)" }
}
