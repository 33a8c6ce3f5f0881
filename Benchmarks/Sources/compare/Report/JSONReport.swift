import Foundation

/// Everything that was measured, for other programs.
struct JSONReport: Encodable {
  struct Row: Encodable {
    var workload: String
    var point: Int?
    var contestant: String
    var variant: String?
    var metric: String
    var unit: Unit
    var values: [Double]
    var median: Double
    var minimum: Double
    var maximum: Double
    var wallNanosecondsEach: Double
    var cpuNanosecondsEach: Double
    var histogram: Histogram?
  }

  var notes: [String]
  var rounds: Int
  var scale: Double
  var rows: [Row]
  /// Contestants without a figure, and why.
  var absences: [Results.Absence]

  init(_ results: Results, _ workloads: [any Workload], notes: [String], rounds: Int, scale: Double) {
    self.notes = notes
    self.rounds = rounds
    self.scale = scale
    absences = results.absences
    rows = results.keys.compactMap { key in
      guard let summary = results.summary(key), let workload = workloads.first(where: { $0.name == key.workload }),
        let metric = workload.metrics.first(where: { $0.name == key.metric })
      else { return nil }
      return Row(
        workload: key.workload, point: workload.sweep == nil ? nil : key.point, contestant: key.contestant,
        variant: key.variant, metric: key.metric, unit: metric.unit, values: summary.values, median: summary.median,
        minimum: summary.minimum, maximum: summary.maximum, wallNanosecondsEach: summary.wallNanoseconds,
        cpuNanosecondsEach: summary.cpuNanoseconds, histogram: key.metric == "p50" ? results.histogram(key) : nil)
    }
  }

  func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(self).write(to: URL(fileURLWithPath: path))
  }
}
