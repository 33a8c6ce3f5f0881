import ArgumentParser
import Foundation

@main
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compares ConcurrentFutures with other ways to run tasks.", subcommands: [Run.self, Measure.self],
    defaultSubcommand: Run.self)

  static func main() {
    // Before options are parsed, which takes longer than the task.
    let arguments = CommandLine.arguments
    if arguments.count == 3, arguments[1] == SpawnedTask.mark, let task = SpawnedTask(rawValue: arguments[2]) {
      do { try task.run() } catch { Self.exit(withError: error) }
      return
    }
    main(nil)
  }
}

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures all workloads, contestants in turn, and prints tables in Markdown.")

  @Flag(help: "A tenth of the operations, up to 3 rounds, 2 minutes: a first look.")
  var quick = false
  @Flag(help: "Next to no operations, one round: whether everything works. Fails if a figure is missing.")
  var smoke = false
  @Option(help: "How often everybody is measured; 5, or fewer where the time does not suffice.")
  var rounds: Int?
  @Option(help: "Minutes for all together; 10. What takes long is measured in fewer rounds, but at least in one.")
  var minutes: Double?
  @Option(help: "Workloads, separated by commas.")
  var only: String?
  @Option(help: "Contestants, separated by commas.")
  var who: String?
  @Option(help: "Goes as far as this in the workload queue-length; 10000000, if there are 12 GB of memory.")
  var longestQueue: Int?
  @Option(help: "Seconds after which a measurement is given up.")
  var timeLimit = 120.0
  @Option(help: "Writes all figures to a file.")
  var json: String?
  @Option(help: "Writes charts into a folder.")
  var svg: String?
  @Option(
    help: "Writes the report between the lines <!-- measured: begin --> and <!-- measured: end --> of a Markdown file.")
  var insertInto: String?
  @Option(help: "Writes the report, with pictures if there are, to a file.")
  var report: String?
  @Option(help: "The machine in words, in place of what is found out.")
  var machine: String?
  @Option(help: "A line about the run, for the report; may be repeated.")
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
    chosen = chosen.map(shortened)
    let rounds = max(1, rounds ?? (smoke ? 1 : quick ? 3 : 5))
    let scale = smoke ? 0.002 : quick ? 0.1 : 1
    let surroundings = [machine ?? Machine.description, PythonContestant.description, Machine.load].compactMap(\.self)
    let notes = surroundings + note + [method(rounds)]
    let runner = Runner(
      rounds: rounds, scale: scale, timeLimit: timeLimit, budget: 60 * (minutes ?? (quick ? 2 : 10)),
      contestants: people)
    let results = runner.run(chosen)
    if let json {
      try JSONReport(results, chosen, notes: notes, rounds: rounds, scale: scale).write(to: json)
    }
    if let svg { try WorkloadCharts(results: results, rounds: rounds).write(chosen, to: svg) }
    var tables = MarkdownReport(results: results, pictures: nil, rounds: rounds)
    let head = notes.map { "\($0)\n" }.joined(separator: "\n")
    print("\(head)\n\(tables.text(for: chosen))", terminator: "")
    if let report {
      tables.pictures = svg.map { relative($0, to: report) }
      try Data("# Benchmarks\n\n\(head)\n\(tables.text(for: chosen))".utf8).write(to: URL(fileURLWithPath: report))
    }
    if let insertInto {
      tables.pictures = svg.map { relative($0, to: insertInto) }
      tables.heading = "###"
      try insert("\(head)\n\(tables.text(for: chosen))", into: insertInto)
    }
    let failures = results.absences.filter(\.isFailure)
    if smoke, let first = failures.first {
      compare.note("\(failures.count) without a figure, first \(first.contestant) in \(first.workload)")
      throw ExitCode.failure
    }
  }

  /// With as many points as there is time and memory for.
  private func shortened(_ workload: any Workload) -> any Workload {
    if var queue = workload as? QueueLength {
      let fits = ProcessInfo.processInfo.physicalMemory >= 12_000_000_000 ? 10_000_000 : 1_000_000
      queue.sweep = QueueLength.lengths(upTo: longestQueue ?? (smoke ? 1_000 : quick ? 1_000_000 : fits))
      return queue
    }
    if var payload = workload as? ProcessPayload, smoke {
      payload.sweep?.points.removeLast(3)
      return payload
    }
    return workload
  }

  private func method(_ rounds: Int) -> String {
    let kind = smoke ? "Next to nothing was measured: only the shape counts. " : quick ? "A quick run. " : ""
    return kind
      + (rounds == 1
        ? "Figures are from one round."
        : "Figures are medians of \(rounds) rounds, or fewer where noted, with the lowest and the highest in brackets.")
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
    return path + "/" == base ? "." : path.hasPrefix(base) ? String(path.dropFirst(base.count)) : path
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
