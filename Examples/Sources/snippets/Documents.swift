#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The Markdown whose Swift must be found, word for word, between `// snippet:` and `// end` in this folder's sources.
///
/// A block that cannot be compiled by itself has `<!-- not compiled -->` on the line before it.
enum Documents {
  static let paths = [
    "README.md", "Documentation/Semantics.md", "Documentation/Architecture.md", "Documentation/ProcessPool.md",
    "Documentation/Security.md",
    "Sources/ConcurrentFutures/Documentation.docc/ConcurrentFutures.md",
  ]
  static let sources = ["Problem", "Futures", "Combinators", "Pools", "Bridges", "Processes"]

  private static let here = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/")
  private static let package = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

  /// Says which blocks are not to be found. Nothing is wrong if it says nothing.
  static func check() -> (blocks: Int, complaints: [String]) {
    var complaints: [String] = []
    var snippets: Set<String> = []
    for name in sources {
      guard let text = readFile("\(here)/\(name).swift") else {
        complaints.append("\(name).swift cannot be read")
        continue
      }
      snippets.formUnion(regions(of: text))
    }
    var count = 0
    var used: Set<String> = []
    for path in paths {
      guard let text = readFile("\(package)/\(path)") else {
        complaints.append("\(path) cannot be read")
        continue
      }
      for (line, block) in swiftBlocks(of: text) {
        count += 1
        used.insert(block)
        if !snippets.contains(block) { complaints.append("\(path):\(line): not in the snippets:\n\(block)") }
      }
    }
    for snippet in snippets.subtracting(used).sorted() { complaints.append("no document shows:\n\(snippet)") }
    return (count, complaints)
  }

  /// What stands between the markers, without the indentation that all of its lines share.
  static func regions(of source: String) -> [String] {
    var result: [String] = []
    var current: [Substring]?
    for line in source.split(separator: "\n", omittingEmptySubsequences: false) {
      let text = line.drop { $0 == " " }
      if text.hasPrefix("// snippet") {
        current = []
      } else if text == "// end", let lines = current {
        let indentation = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        result.append(lines.map { $0.dropFirst(indentation) }.joined(separator: "\n"))
        current = nil
      } else {
        current?.append(line)
      }
    }
    return result
  }

  static func swiftBlocks(of markdown: String) -> [(line: Int, text: String)] {
    var result: [(Int, String)] = []
    var block: (start: Int, lines: [Substring])?
    var before: Substring = ""
    for (index, line) in markdown.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if let open = block {
        if line == "```" {
          result.append((open.start, open.lines.joined(separator: "\n")))
          block = nil
        } else {
          block!.lines.append(line)
        }
      } else if line == "```swift" && !before.hasPrefix("<!-- not compiled") {
        block = (index + 1, [])
      }
      before = line
    }
    return result
  }

  private static func readFile(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
