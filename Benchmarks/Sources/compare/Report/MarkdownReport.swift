import Foundation

/// The tables, in Markdown.
struct MarkdownReport {
  var results: Results
  /// The folder of the pictures as the report refers to it; nil for a report without pictures.
  var pictures: String?
  var heading = "##"

  func text(for workloads: [any Workload]) -> String {
    workloads.filter { !results.rows($0.name).isEmpty }.map(section).joined(separator: "\n")
  }

  private func section(_ workload: any Workload) -> String {
    var text = "\(heading) \(workload.title) (`\(workload.name)`)\n\n\(workload.text)\n\n"
    if workload.sweep == nil {
      text += table(workload)
    } else {
      for metric in workload.metrics { text += sweepTable(workload, metric) }
      text += sweepTable(workload, workload.metrics[0], processorTime: true)
    }
    if let pictures, workload.hasPicture {
      text += "\n![\(workload.title)](\(pictures)/\(workload.name).svg)\n"
    }
    return text
  }

  private func table(_ workload: any Workload) -> String {
    let rows = results.rows(workload.name)
    let direction = workload.metrics[0].unit.lessIsBetter ? "less is better" : "more is better"
    var text = "| \(direction) |"
    for metric in workload.metrics { text += " \(metric.name) |" }
    text += " behind the first | wall time each | CPU time each |\n"
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
        text += " \(threeDigits(less ? own.median / first.median : first.median / own.median)) ×"
        text +=
          " | \(Unit.nanoseconds.format(own.wallNanoseconds)) | \(Unit.nanoseconds.format(own.cpuNanoseconds)) |\n"
      } else {
        text += " | | |\n"
      }
    }
    return text
  }

  private func sweepTable(_ workload: any Workload, _ metric: Metric, processorTime: Bool = false) -> String {
    let sweep = workload.sweep!
    let direction = metric.unit.lessIsBetter || processorTime ? "less is better" : "more is better"
    let what = processorTime ? "CPU time each" : metric.name
    var text = "| \(what), by \(sweep.axis) (\(direction)) |"
    for point in sweep.points { text += " \(grouped(point)) |" }
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
    return text + "\n"
  }

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
