import Foundation

/// Counts the instructions and allocations of the hot paths, and compares them with the thresholds.
///
/// `check HOTPATHS THRESHOLDS [--update]`
@main
enum Check {
  /// Two runs that differ in the count only: their difference is free of what happens once.
  static let counts = (few: 2_000, many: 12_000)

  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else { fail("usage: check HOTPATHS THRESHOLDS [--update]") }
    let file = URL(fileURLWithPath: arguments[2])
    var thresholds = try JSONDecoder().decode(Thresholds.self, from: Data(contentsOf: file))
    let counter = Counter(program: arguments[1])
    let names = try counter.names()
    let costs = measure(names, counter)

    if arguments.contains("--update") {
      thresholds.architecture = architecture
      thresholds.paths = Dictionary(uniqueKeysWithValues: zip(names, costs.map { $0.rounded }))
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try (encoder.encode(thresholds) + Data("\n".utf8)).write(to: file)
    }
    if thresholds.architecture != architecture {
      print("The thresholds are for \(thresholds.architecture), this is \(architecture): nothing is compared.")
      thresholds.paths = [:]
    }
    let verdicts = zip(names, costs).map { thresholds.judge($0, $1) }
    print(table(zip(names, costs).map { $0 }, thresholds, verdicts))
    let broken = zip(names, verdicts).filter { $0.1.isFailure }
    if !broken.isEmpty {
      fail("More than \(thresholds.percent) % above the thresholds: \(broken.map(\.0).joined(separator: ", "))")
    }
  }

  private static func measure(_ names: [String], _ counter: Counter) -> [Cost] {
    let costs = Locked([Cost?](repeating: nil, count: names.count))
    DispatchQueue.concurrentPerform(iterations: names.count) { index in
      do {
        let few = try counter.total(names[index], counts.few)
        let many = try counter.total(names[index], counts.many)
        let operations = Double(counts.many - counts.few)
        let cost = Cost(
          instructions: Double(many.instructions - few.instructions) / operations,
          allocations: Double(many.allocations - few.allocations) / operations)
        costs.withLock { $0[index] = cost }
      } catch {
        fail("\(names[index]): \(error)")
      }
    }
    return costs.withLock { $0.map { $0! } }
  }

  private static func table(_ rows: [(String, Cost)], _ thresholds: Thresholds, _ verdicts: [Verdict]) -> String {
    var text = "| hot path | instructions each | threshold | allocations each | threshold | |\n"
    text += "|---|---:|---:|---:|---:|---|\n"
    for ((name, cost), verdict) in zip(rows, verdicts) {
      let limit = thresholds.paths[name]
      text += "| \(name) | \(decimal(cost.instructions, 1)) | \(limit.map { decimal($0.instructions, 1) } ?? "") "
      text +=
        "| \(decimal(cost.allocations, 2)) | \(limit.map { decimal($0.allocations, 2) } ?? "") | \(verdict.text) |\n"
    }
    return text
  }

  private static var architecture: String {
    #if arch(x86_64)
    "x86_64"
    #elseif arch(arm64)
    "arm64"
    #else
    "other"
    #endif
  }
}

func decimal(_ value: Double, _ places: Int) -> String { String(format: "%.\(places)f", value) }

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("\(message)\n".utf8))
  exit(1)
}

final class Locked<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value
  init(_ value: Value) { self.value = value }
  func withLock<R>(_ body: (inout Value) -> R) -> R { lock.withLock { body(&value) } }
}
