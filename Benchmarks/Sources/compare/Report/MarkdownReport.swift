import Foundation

/// The tables, in Markdown.
struct MarkdownReport {
  var results: Results
  /// The folder of the pictures as the report refers to it; nil for a report without pictures.
  var pictures: String?
  var heading = "##"
  /// As many as there should be.
  var rounds = 1

  func text(for workloads: [any Workload]) -> String {
    workloads.filter { !results.rows($0.name).isEmpty }.map(section).joined(separator: "\n")
  }

  /// Rows of contestants without any figure.
  private func absences(_ workload: any Workload) -> [(contestant: String, reason: String)] {
    let present = Set(results.rows(workload.name).map(\.contestant))
    var seen: Set<String> = []
    return results.absences.filter {
      $0.workload == workload.name && !present.contains($0.contestant) && seen.insert($0.contestant).inserted
    }.map { ($0.contestant, $0.reason) }
  }

  private func section(_ workload: any Workload) -> String {
    var text = "\(heading) \(workload.title) (`\(workload.name)`)\n\n\(workload.text)\n\n"
    if workload.sweep == nil {
      text += table(workload)
    } else {
      for metric in workload.metrics { text += sweepTable(workload, metric) }
      text += sweepTable(workload, workload.metrics[0], processorTime: true)
      text.removeLast()
    }
    if let rounds = fewerRounds(workload) { text += "\n\(rounds)\n" }
    if let pictures, workload.hasPicture {
      text += "\n![\(workload.title)](\(pictures)/\(workload.name).svg)\n"
      for (metric, _) in workload.furtherCharts {
        text += "\n![\(workload.title): \(metric)](\(pictures)/\(workload.name)-\(metric).svg)\n"
      }
    }
    return text
  }

  private func table(_ workload: any Workload) -> String {
    let rows = results.rows(workload.name)
    let isLess = Set(workload.metrics.map(\.unit.lessIsBetter))
    var text = "| \(isLess.count > 1 ? "" : isLess == [true] ? "less is better" : "more is better") |"
    for metric in workload.metrics { text += " \(metric.name) |" }
    let compared = workload.metrics.count > 1 ? ", \(workload.metrics[0].name)" : ""
    text += " behind the first\(compared) | wall time each | CPU time each |\n"
    text += "|---|" + String(repeating: "---:|", count: workload.metrics.count + 3) + "\n"
    let first = rows.first.flatMap { summary($0, workload.metrics[0].name) }
    for row in rows {
      text += "| \(row.label) |"
      for metric in workload.metrics {
        text += " \(summary(row, metric.name).map { metric.unit.format($0) } ?? "") |"
      }
      let own = summary(row, workload.metrics[0].name)
      if let own, let first {
        let less = workload.metrics[0].unit.lessIsBetter
        let factor = less ? own.median / first.median : first.median / own.median
        // Nothing cannot be divided by.
        text += factor.isFinite ? " \(threeDigits(factor)) ×" : " "
        text +=
          " | \(Unit.nanoseconds.format(own.wallNanoseconds)) | \(Unit.nanoseconds.format(own.cpuNanoseconds)) |\n"
      } else {
        text += " | | |\n"
      }
    }
    for absence in absences(workload) {
      text += "| \(absence.contestant) | \(absence.reason) |"
      text += String(repeating: " |", count: workload.metrics.count + 2) + "\n"
    }
    return text
  }

  private func sweepTable(_ workload: any Workload, _ metric: Metric, processorTime: Bool = false) -> String {
    let sweep = workload.sweep!
    let direction = metric.unit.lessIsBetter || processorTime ? "less is better" : "more is better"
    let what = processorTime ? "CPU time each" : metric.name
    var text = "| \(what), by \(sweep.axis) (\(direction)) |"
    for point in sweep.points { text += " \(sweep.label(point)) |" }
    text += "\n|---|" + String(repeating: "---:|", count: sweep.points.count) + "\n"
    for row in results.rows(workload.name) {
      let cells = sweep.points.map { point in
        summary(row, metric.name, point).map {
          processorTime ? Unit.nanoseconds.format($0.cpuNanoseconds) : metric.unit.format($0)
        } ?? ""
      }
      if cells.allSatisfy(\.isEmpty) { continue }
      text += "| \(row.label) | " + cells.joined(separator: " | ") + " |\n"
    }
    if metric.name == workload.metrics[0].name {
      for absence in absences(workload) {
        text += "| \(absence.contestant) | \(absence.reason) |"
        text += String(repeating: " |", count: sweep.points.count - 1) + "\n"
      }
    }
    return text + "\n"
  }

  /// A sentence if the time did not suffice for all rounds.
  private func fewerRounds(_ workload: any Workload) -> String? {
    guard let sweep = workload.sweep else {
      let count = results.rounds(workload.name)
      return count < rounds ? "\(roundsText(count)) for lack of time." : nil
    }
    let fewer = sweep.points.map { (point: $0, count: results.rounds(workload.name, $0)) }.filter { $0.count < rounds }
    if fewer.isEmpty { return nil }
    if fewer.count == sweep.points.count, Set(fewer.map(\.count)).count == 1 {
      return "\(roundsText(fewer[0].count)) for lack of time."
    }
    let list = fewer.map { "\(roundsText($0.count).lowercased()) at \(sweep.label($0.point))" }.joined(separator: ", ")
    return "For lack of time: \(list)."
  }

  private func roundsText(_ count: Int) -> String { count == 1 ? "One round" : "\(count) rounds" }

  private func summary(_ row: Results.Key, _ metric: String, _ point: Int = 0) -> Summary? {
    var key = row
    key.metric = metric
    key.point = point
    return results.summary(key)
  }
}

extension Workload {
  var hasPicture: Bool {
    if case .none = chart { return false }
    return true
  }
}
