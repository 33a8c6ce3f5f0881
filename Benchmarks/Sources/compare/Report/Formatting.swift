import Foundation

extension Unit {
  /// What a value is divided by to be readable, and the unit's name then.
  func scale(for value: Double) -> (divisor: Double, name: String) {
    let steps: [(Double, String)] =
      switch self {
      case .perSecond: [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")]
      case .nanoseconds: [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")]
      case .bytes: [(1, "B")]
      case .megabytes: [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")]
      case .bytesPerSecond: [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")]
      case .factor: [(1, "×")]
      }
    return steps.first { abs(value) >= $0.0 } ?? steps[steps.count - 1]
  }

  func format(_ value: Double) -> String {
    let (divisor, name) = scale(for: value)
    return "\(digits(value / divisor)) \(name)"
  }

  /// `4.21 M/s (3.90–4.40)`
  func format(_ summary: Summary) -> String {
    let (divisor, name) = scale(for: summary.median)
    let texts = [summary.median, summary.minimum, summary.maximum].map { digits($0 / divisor) }
    if texts[1] == texts[2] { return "\(texts[0]) \(name)" }
    return "\(texts[0]) \(name) (\(texts[1])–\(texts[2]))"
  }

  private func digits(_ value: Double) -> String { self == .bytes ? grouped(Int(value.rounded())) : threeDigits(value) }
}

/// Three significant digits, more for large numbers.
func threeDigits(_ value: Double) -> String {
  let size = abs(value)
  let decimals = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return String(format: "%.\(decimals)f", value)
}

/// 1,000,000
func grouped(_ number: Int) -> String {
  var digits = String(number)
  var place = digits.count - 3
  while place > 0 {
    digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
    place -= 3
  }
  return digits
}
