import Foundation

/// From results to charts.
struct WorkloadCharts {
  var results: Results
  var rounds: Int

  func write(_ workloads: [any Workload], to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for workload in workloads {
      if let chart = chart(for: workload) { try write(chart, to: "\(folder)/\(workload.name).svg") }
      for (name, further) in further(of: workload) { try write(further, to: "\(folder)/\(name).svg") }
    }
  }

  private func write(_ chart: Chart, to file: String) throws {
    try Data(chart.svg().utf8).write(to: URL(fileURLWithPath: file))
  }

  /// The charts of other metrics than the first, by the names of their files.
  func further(of workload: any Workload) -> [(name: String, chart: Chart)] {
    workload.furtherCharts.compactMap { name, yAxis in
      guard let metric = workload.metrics.first(where: { $0.name == name }),
        let chart = sweepChart(workload, metric, yAxis)
      else { return nil }
      return ("\(workload.name)-\(name)", chart)
    }
  }

  func chart(for workload: any Workload) -> Chart? {
    switch workload.chart {
    case .none: nil
    case .sweep(let yAxis): sweepChart(workload, workload.metrics[0], yAxis)
    case .distribution: distributionChart(workload)
    }
  }

  private func style(_ row: Results.Key) -> Int { contestants.firstIndex { $0.name == row.contestant } ?? 0 }

  /// Whether the contestant has a row before this one.
  private func isFurther(_ row: Results.Key, _ rows: [Results.Key]) -> Bool {
    rows.first { $0.contestant == row.contestant } != row
  }

  private func sweepChart(_ workload: any Workload, _ metric: Metric, _ yAxis: String) -> Chart? {
    let sweep = workload.sweep!
    let rows = results.rows(workload.name)
    let series = rows.compactMap { row -> Chart.Series? in
      let points = sweep.points.compactMap { point -> Chart.Point? in
        var key = row
        key.point = point
        key.metric = metric.name
        return results.summary(key).map {
          Chart.Point(x: Double(point), y: $0.median, low: $0.minimum, high: $0.maximum)
        }
      }
      // Not everybody has every metric.
      if points.isEmpty { return nil }
      return Chart.Series(label: row.label, style: style(row), isDashed: isFurther(row, rows), points: points)
    }
    let values = series.flatMap { $0.points.flatMap { [$0.low ?? $0.y, $0.high ?? $0.y] } }
    guard let low = values.min(), let high = values.max(), low > 0 else { return nil }
    let points = sweep.points.map(Double.init)
    let margin = pow(points[points.count - 1] / points[0], 0.04)
    let x = Chart.Axis(
      title: sweep.axis, ticks: sweep.points.map { Chart.Tick(value: Double($0), label: sweep.label($0)) },
      low: points[0] / margin, high: points[points.count - 1] * margin)
    let direction = metric.unit.lessIsBetter ? "lower is better" : "higher is better"
    return Chart(
      title: metric.name == workload.metrics[0].name ? workload.title : "\(workload.title): \(metric.name)",
      subtitle: "\(rounds == 1 ? "One round" : "Median, lowest and highest of up to \(rounds) rounds"); \(direction)",
      x: x,
      y: logarithmic("\(yAxis), logarithmic", low / 1.15, high * 1.15, metric.unit), series: series)
  }

  private func distributionChart(_ workload: any Workload) -> Chart? {
    var series: [Chart.Series] = []
    let rows = results.rows(workload.name)
    for row in rows {
      guard let histogram = results.histogram(row) else { continue }
      let points = histogram.cumulative.map { Chart.Point(x: $0.nanoseconds, y: $0.share) }
      let start = points.first.map { [Chart.Point(x: $0.x / 1.02, y: 0)] } ?? []
      series.append(
        Chart.Series(
          label: row.label, style: style(row), isDashed: isFurther(row, rows), points: start + points, isStepped: true))
    }
    let times = series.flatMap { $0.points.map(\.x) }
    guard let low = times.min(), let high = times.max() else { return nil }
    let shares = [0, 0.5, 0.9, 0.99, 0.999, 0.9999]
    let y = Chart.Axis(
      title: "share of trips that took at most so long",
      ticks: shares.map { Chart.Tick(value: $0, label: "\(threeNines($0 * 100)) %") }, low: 0, high: 0.99997
    ) { share in
      // Each factor of ten in what is left above takes the same room: the tail is what differs.
      -log10(max(1 - share, 0.00003))
    }
    return Chart(
      title: workload.title,
      subtitle:
        "\(rounds == 1 ? "One round" : "All rounds"); further left is better, and straight up to the top is steady",
      x: logarithmic("time of a round trip, logarithmic", low / 1.1, high * 1.1, .nanoseconds), y: y, series: series)
  }

  private func threeNines(_ percent: Double) -> String {
    var text = String(format: "%.2f", percent)
    while text.hasSuffix("0") && text.contains(".") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  private func logarithmic(_ title: String, _ low: Double, _ high: Double, _ unit: Unit) -> Chart.Axis {
    let decades = log10(high / low)
    let steps: [Double] = decades > 3.2 ? [1] : decades > 2.2 ? [1, 3] : [1, 2, 5]
    var ticks: [Chart.Tick] = []
    for exponent in Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up)) {
      for step in steps {
        let value = step * pow(10, Double(exponent))
        guard value >= low, value <= high else { continue }
        let (divisor, name) = unit.scale(for: value * 1.000001)
        ticks.append(Chart.Tick(value: value, label: "\(String(format: "%g", value / divisor)) \(name)"))
      }
    }
    return Chart.Axis(title: title, ticks: ticks, low: low, high: high)
  }
}
