/// What one operation takes.
struct Cost: Codable {
  var instructions: Double
  var allocations: Double

  var rounded: Cost {
    Cost(instructions: (instructions * 10).rounded() / 10, allocations: (allocations * 100).rounded() / 100)
  }
}

/// The file `thresholds.json`.
struct Thresholds: Codable {
  /// Instruction counts are those of one architecture, compiler and C library.
  var architecture: String
  var measuredWith: String
  var tolerance: Double
  var paths: [String: Cost]

  var percent: Int { Int((tolerance * 100).rounded()) }

  func judge(_ name: String, _ cost: Cost) -> Verdict {
    guard let limit = paths[name] else { return Verdict(text: "no threshold") }
    // Allocations are small whole numbers and the growth of arrays: one too many in twenty operations is too many.
    if cost.allocations > limit.allocations * (1 + tolerance) + 0.05 {
      return Verdict(text: "**more allocations**", isFailure: true)
    }
    if cost.instructions > limit.instructions * (1 + tolerance) {
      return Verdict(text: "**\(change(cost, limit))**", isFailure: true)
    }
    if cost.instructions < limit.instructions * (1 - tolerance) || cost.allocations < limit.allocations - 0.05 {
      return Verdict(text: "\(change(cost, limit)): lower the threshold (`guards/run --update`)")
    }
    return Verdict(text: change(cost, limit))
  }

  private func change(_ cost: Cost, _ limit: Cost) -> String {
    let percent = (cost.instructions / limit.instructions - 1) * 100
    return (percent < 0 ? "" : "+") + decimal(percent, 1) + " %"
  }
}

struct Verdict {
  var text: String
  var isFailure = false
}
