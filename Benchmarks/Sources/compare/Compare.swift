import ArgumentParser
import Foundation

@main
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compares ConcurrentFutures with other ways to run tasks.", subcommands: [Run.self, Measure.self],
    defaultSubcommand: Run.self)
}

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures all workloads, contestants in turn, and prints tables in Markdown.")

  @Flag(help: "A tenth of the operations and one round: whether it works, not how fast it is.")
  var quick = false
  @Option(help: "How often everybody is measured.")
  var rounds: Int?
  @Option(help: "Workloads, separated by commas.")
  var only: String?
  @Option(help: "Contestants, separated by commas.")
  var who: String?
  @Option(help: "Goes as far as this in the workload queue-length; 10000000 takes some gigabytes.")
  var longestQueue = 1_000_000
  @Option(help: "Seconds after which a measurement is given up.")
  var timeLimit = 120.0
  @Option(help: "Writes all figures to a file.")
  var json: String?
  @Option(help: "Writes charts into a folder.")
  var svg: String?
  @Option(
    help: "Writes the report between the lines <!-- measured: begin --> and <!-- measured: end --> of a Markdown file.")
  var insertInto: String?
  @Option(help: "A line about the machine or the run, for the report; may be repeated.")
  var note: [String] = []
  @Flag(help: "Prints the names of workloads and contestants.")
  var list = false

  func run() throws {
    var chosen = try pick(workloads, only, \.name, "workload")
    let people = try pick(contestants, who, \.name, "contestant")
    if list {
      for workload in workloads { print("\(workload.name): \(workload.title)") }
      print("contestants: \(contestants.map(\.name).joined(separator: ", "))")
      return
    }
    if let index = chosen.firstIndex(where: { $0 is QueueLength }) {
      var queue = QueueLength()
      queue.sweep = QueueLength.lengths(upTo: quick ? min(longestQueue, 100_000) : longestQueue)
      chosen[index] = queue
    }
    let rounds = max(1, rounds ?? (quick ? 1 : 5))
    let scale = quick ? 0.1 : 1
    let runner = Runner(rounds: rounds, scale: scale, timeLimit: timeLimit, contestants: people)
    let results = runner.run(chosen)
    let method =
      rounds == 1
      ? "Figures are from one round."
      : "Figures are medians of \(rounds) rounds, with the lowest and the highest in brackets."
    let notes = note + [method]
    if let json {
      try JSONReport(results, chosen, notes: notes, rounds: rounds, scale: scale).write(to: json)
    }
    if let svg { try WorkloadCharts(results: results, rounds: rounds).write(chosen, to: svg) }
    var report = MarkdownReport(results: results, pictures: nil)
    let head = notes.map { "\($0)\n" }.joined(separator: "\n")
    print("\(head)\n\(report.text(for: chosen))", terminator: "")
    if let insertInto {
      report.pictures = svg.map { relative($0, to: insertInto) }
      report.heading = "###"
      try insert("\(head)\n\(report.text(for: chosen))", into: insertInto)
    }
  }

  private func pick<T>(_ all: [T], _ names: String?, _ name: (T) -> String, _ what: String) throws -> [T] {
    guard let names else { return all }
    return try names.split(separator: ",").map { asked in
      guard let found = all.first(where: { name($0) == asked }) else {
        throw ValidationError("no \(what) \(asked); there are: \(all.map(name).joined(separator: ", "))")
      }
      return found
    }
  }

  /// A folder as seen from a file beside it or above it.
  private func relative(_ folder: String, to file: String) -> String {
    let base = URL(fileURLWithPath: file).deletingLastPathComponent().path + "/"
    let path = URL(fileURLWithPath: folder).path
    return path.hasPrefix(base) ? String(path.dropFirst(base.count)) : path
  }

  private func insert(_ report: String, into path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    guard let begin = text.range(of: "<!-- measured: begin -->\n"), let end = text.range(of: "<!-- measured: end -->")
    else { throw ValidationError("\(path) has no lines <!-- measured: begin --> and <!-- measured: end -->") }
    let new = text[..<begin.upperBound] + "\n" + report + "\n" + text[end.lowerBound...]
    try new.write(toFile: path, atomically: true, encoding: .utf8)
  }
}

/// One measurement: the runner calls it, as a process of its own.
struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(shouldDisplay: false)

  @Argument var plan: String

  func run() throws {
    let plan = try JSONDecoder().decode(Plan.self, from: Data(plan.utf8))
    guard let workload = workloads.first(where: { $0.name == plan.workload }),
      let contestant = contestants.first(where: { $0.name == plan.contestant }), workload.admits(contestant)
    else { throw NoFigure(reason: "\(plan.contestant) does not do \(plan.workload)") }
    let readings = try workload.measure(contestant, plan)
    print(String(decoding: try JSONEncoder().encode(readings), as: UTF8.self))
  }
}
