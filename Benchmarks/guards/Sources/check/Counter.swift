import Foundation

/// Runs the hot paths under callgrind, which counts without a clock.
struct Counter {
  var program: String

  struct Total {
    var instructions: Int
    var allocations: Int
  }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  func names() throws -> [String] {
    try run([program]).split(separator: "\n").map(String.init)
  }

  func total(_ path: String, _ count: Int) throws -> Total {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("hotpaths-\(ProcessInfo.processInfo.processIdentifier)-\(path)-\(count).callgrind")
    defer { try? FileManager.default.removeItem(at: file) }
    _ = try run([
      "valgrind", "--quiet", "--log-file=/dev/null", "--tool=callgrind", "--callgrind-out-file=\(file.path)", program,
      path, String(count),
    ])
    return try Self.parse(String(contentsOf: file, encoding: .utf8))
  }

  /// See "Callgrind Format Specification" in Valgrind's manual. A function's name stands beside its number the first
  /// time, later the number stands alone.
  static func parse(_ text: String) throws -> Total {
    let allocators: Set<Substring> = ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign"]
    var numbers: Set<Substring> = []
    var total = Total(instructions: 0, allocations: 0)
    var callsAllocator = false
    for line in text.split(separator: "\n") {
      if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
        let parts = line.split(separator: "=", maxSplits: 1)[1].split(separator: " ", maxSplits: 1)
        if parts.count == 2, allocators.contains(parts[1]) { numbers.insert(parts[0]) }
        if line.hasPrefix("cfn=") { callsAllocator = numbers.contains(parts[0]) }
      } else if line.hasPrefix("calls=") {
        if callsAllocator { total.allocations += Int(line.dropFirst(6).prefix { $0 != " " }) ?? 0 }
      } else if line.hasPrefix("totals: ") || line.hasPrefix("summary: ") {
        total.instructions = Int(line.split(separator: " ")[1]) ?? 0
      }
    }
    if total.instructions == 0 { throw Failure(description: "callgrind's file has no total") }
    return total
  }

  private func run(_ command: [String]) throws -> String {
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    child.arguments = command
    child.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_DETERMINISTIC_HASHING": "1"]) { $1 }
    let output = Pipe()
    child.standardOutput = output
    try child.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    child.waitUntilExit()
    guard child.terminationStatus == 0 else {
      throw Failure(description: "\(command.joined(separator: " ")) ended with \(child.terminationStatus)")
    }
    return String(decoding: data, as: UTF8.self)
  }
}
