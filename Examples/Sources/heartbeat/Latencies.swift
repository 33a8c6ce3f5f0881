/// How late the beats of one measurement were.
struct Latencies: Sendable {
  private let sorted: [Duration]

  init(_ latencies: [Duration]) { sorted = latencies.sorted() }

  var count: Int { sorted.count }
  var minimum: Duration { sorted.first ?? .zero }
  var maximum: Duration { sorted.last ?? .zero }

  /// The value that `fraction` of all beats do not exceed.
  func percentile(_ fraction: Double) -> Duration {
    if sorted.isEmpty { return .zero }
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]
  }

  /// The upper ends of the histogram's rows; the last row has none.
  static let bounds: [Duration] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].map { .milliseconds($0) }

  /// How many beats fall into each row of the histogram.
  var histogram: [Int] {
    var counts = [Int](repeating: 0, count: Self.bounds.count + 1)
    for latency in sorted { counts[Self.bounds.firstIndex { latency < $0 } ?? Self.bounds.count] += 1 }
    return counts
  }
}

extension Duration {
  var inMilliseconds: Double { self / .milliseconds(1) }

  /// Milliseconds with two decimals, or fewer where the number is large.
  var text: String {
    let value = inMilliseconds
    let decimals = value < 10 ? 2 : value < 100 ? 1 : 0
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((value * scale).rounded())
    if decimals == 0 { return "\(scaled) ms" }
    let digits = String(scaled)
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return "\(padded.dropLast(decimals)).\(padded.suffix(decimals)) ms"
  }
}
