/// Something that is measured.
protocol Workload: Sendable {
  /// For `--only`, the JSON and the files' names.
  var name: String { get }
  var title: String { get }
  /// What is timed, in a sentence or two.
  var text: String { get }
  /// The figures that a measurement gives, in the order of the table's columns.
  var metrics: [Metric] { get }
  /// What is varied; nil if nothing is.
  var sweep: Sweep? { get }
  var chart: ChartStyle { get }
  /// Metrics that have a chart of their own over the sweep's points, with the titles of their axes. Besides the first.
  var furtherCharts: [(metric: String, yAxis: String)] { get }

  /// How many operations one measurement has at full scale.
  func operations(at point: Int) -> Int
  /// Whether a contestant of this process has a way to do it.
  func admits(_ contestant: any Contestant) -> Bool
  /// Whether a contestant does this point of the sweep; the longest queues take the slowest too long.
  func includes(_ contestant: any Contestant, at point: Int) -> Bool
  /// Whether slow contestants do fewer operations.
  var isShared: Bool { get }
  /// Measures a contestant that is admitted.
  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading]
}

extension Workload {
  var sweep: Sweep? { nil }
  var chart: ChartStyle { .none }
  var furtherCharts: [(metric: String, yAxis: String)] { [] }
  var isShared: Bool { true }
  func includes(_ contestant: any Contestant, at point: Int) -> Bool { true }
}

/// All workloads, in the order of the report.
let workloads: [any Workload] = [
  TinyTasks(), Submitters(), Workers(), QueueLength(), RoundTrip(), RoundTripAfterPause(), AsyncHop(), AsyncHops(),
  CompleteFuture(), GatherFutures(), AsCompletedFutures(), ForkJoin(), BlockingSleeps(), PendingFutureMemory(),
  ProcessRoundTrip(), ProcessTasks(), ProcessWorkers(), ProcessMap(), ProcessPayload(), ProcessStart(), CodeRecords(),
  SpeedUp(),
  IdlePool(),
]

/// A parameter that is varied, each value a point of its own.
struct Sweep: Sendable {
  var axis: String
  var points: [Int]
  /// A point's value for tables and axes.
  var label: @Sendable (Int) -> String = { grouped($0) }
}

enum ChartStyle: Sendable {
  case none
  /// The first metric over the sweep's points.
  case sweep(yAxis: String)
  /// The share of operations that took at most so long.
  case distribution
}

struct Metric: Sendable {
  var name: String
  var unit: Unit
}

enum Unit: String, Codable, Sendable {
  case perSecond = "1/s"
  case bytesPerSecond = "B/s"
  /// How many times.
  case factor = "x"
  case nanoseconds = "ns"
  /// Bytes that are written to the last digit.
  case bytes = "B"
  /// Bytes of which three digits tell enough.
  case megabytes = "B, rounded"

  var lessIsBetter: Bool {
    switch self {
    case .perSecond, .bytesPerSecond, .factor: false
    case .nanoseconds, .bytes, .megabytes: true
    }
  }
}

/// What one measurement is asked to do. The runner sends it to the process that does it.
struct Plan: Codable, Sendable {
  var workload: String
  var contestant: String
  /// The sweep's point; 0 without a sweep.
  var point: Int
  var operations: Int
}

/// One figure, and what it took.
struct Reading: Codable, Sendable {
  var metric: String
  /// Which of several ways of the same contestant; nil if it has one.
  var variant: String?
  var value: Double
  /// Operations in the timed part.
  var operations: Int
  var wallSeconds: Double
  /// User and system time of all threads.
  var cpuSeconds: Double
  var histogram: Histogram?
}

/// Wrong results are no results.
struct WrongResult: Error, CustomStringConvertible {
  var description: String
}

func expect(_ found: Int, _ expected: Int, _ what: String) throws {
  if found != expected { throw WrongResult(description: "\(what): \(found) instead of \(expected)") }
}
