/// One way of making the blocking calls, and what it did to the heartbeat.
struct Measurement {
  let title: String
  let latencies: Latencies
  /// From the first call to the end of the last.
  let duration: Duration
}

/// Two measurements side by side.
struct Report {
  let left: Measurement
  let right: Measurement

  private let width = 34

  func print() {
    row("", left.title, right.title)
    row("calls took", left.duration.text, right.duration.text)
    row("beats", "\(left.latencies.count)", "\(right.latencies.count)")
    row("late, min", left.latencies.minimum.text, right.latencies.minimum.text)
    for (name, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
      row("      \(name)", left.latencies.percentile(fraction).text, right.latencies.percentile(fraction).text)
    }
    row("      max", left.latencies.maximum.text, right.latencies.maximum.text)
    Swift.print()
    histograms()
    Swift.print("\n\(conclusion)")
  }

  private func histograms() {
    let left = left.latencies.histogram
    let right = right.latencies.histogram
    guard let last = left.indices.last(where: { left[$0] + right[$0] > 0 }) else { return }
    let most = max(left.max() ?? 0, right.max() ?? 0)
    for index in 0...last {
      let bound = index < Latencies.bounds.count ? "< \(Int(Latencies.bounds[index].inMilliseconds)) ms" : "longer"
      row(bound, bar(left[index], of: most), bar(right[index], of: most))
    }
  }

  private func bar(_ count: Int, of most: Int) -> String {
    if count == 0 { return "" }
    return String(repeating: "#", count: max(1, count * 24 / max(1, most))) + " \(count)"
  }

  private var conclusion: String {
    let ticks = "a Task that should wake every 10 ms"
    let worstLeft = left.latencies.maximum
    let worstRight = right.latencies.maximum
    let comparison = "at most \(worstRight.text) late, against \(worstLeft.text)"
    return worstRight < worstLeft
      ? "With the calls on a thread pool \(ticks) was \(comparison) with the calls made inside Tasks."
      : "No gain in this run: with the calls on a thread pool \(ticks) was \(comparison) with the calls made inside Tasks."
  }

  private func row(_ name: String, _ left: String, _ right: String) {
    let line = padded(name, 12) + padded(left, width) + right
    Swift.print(String(line.reversed().drop { $0 == " " }.reversed()))
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
