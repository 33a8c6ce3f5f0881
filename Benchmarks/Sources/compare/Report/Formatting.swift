import Foundation

extension Unit {
  /// What a value is divided by to be readable, and the unit's name then.
  func scale(for value: Double) -> (divisor: Double, name: String) {
    let steps: [(Double, String)] =
      switch self {
      case .perSecond: [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")]
      case .nanoseconds: [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")]
      case .bytes: [(1, "B")]
      }
    return steps.first { abs(value) >= $0.0 } ?? steps[steps.count - 1]
  }

  func format(_ value: Double) -> String {
    let (divisor, name) = scale(for: value)
    return "\(threeDigits(value / divisor)) \(name)"
  }

  /// `4.21 M/s (3.90–4.40)`
  func format(_ summary: Summary) -> String {
    let (divisor, name) = scale(for: summary.median)
    let median = "\(threeDigits(summary.median / divisor)) \(name)"
    if summary.values.count == 1 { return median }
    return "\(median) (\(threeDigits(summary.minimum / divisor))–\(threeDigits(summary.maximum / divisor)))"
  }
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
