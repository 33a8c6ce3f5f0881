/// All readings of a run.
struct Results {
  struct Key: Hashable {
    var workload: String
    var point: Int
    var contestant: String
    var variant: String?
    var metric: String

    /// As it is called in tables and legends.
    var label: String { variant.map { "\(contestant), \($0)" } ?? contestant }
  }

  private(set) var readings: [Key: [Reading]] = [:]
  /// In the order of their first readings.
  private(set) var keys: [Key] = []

  mutating func add(_ reading: Reading, _ workload: String, _ point: Int, _ contestant: String) {
    let key = Key(
      workload: workload, point: point, contestant: contestant, variant: reading.variant, metric: reading.metric)
    if readings[key] == nil { keys.append(key) }
    readings[key, default: []].append(reading)
  }

  /// Contestants without a figure, and why: by workload and point.
  private(set) var absences: [Absence] = []

  struct Absence: Hashable, Encodable {
    var workload: String
    var point: Int
    var contestant: String
    var reason: String
    /// Whether something went wrong; otherwise the contestant is not installed.
    var isFailure: Bool
  }

  mutating func add(_ absence: Absence) { absences.append(absence) }

  /// How often a workload's point was measured, at most.
  func rounds(_ workload: String, _ point: Int = 0) -> Int {
    readings.lazy.filter { $0.key.workload == workload && $0.key.point == point }.map(\.value.count).max() ?? 0
  }

  func summary(_ key: Key) -> Summary? { readings[key].map(Summary.init) }

  /// The contestants' rows of a workload, without point and metric.
  func rows(_ workload: String) -> [Key] {
    var rows: [Key] = []
    for var key in keys where key.workload == workload {
      key.point = 0
      key.metric = ""
      if !rows.contains(key) { rows.append(key) }
    }
    let order = contestants.map(\.name)
    return rows.enumerated().sorted { a, b in
      let places = (order.firstIndex(of: a.element.contestant) ?? 0, order.firstIndex(of: b.element.contestant) ?? 0)
      return places.0 == places.1 ? a.offset < b.offset : places.0 < places.1
    }.map(\.element)
  }

  /// All rounds' distributions in one.
  func histogram(_ row: Key) -> Histogram? {
    var key = row
    key.metric = "p50"
    let all = (readings[key] ?? []).compactMap(\.histogram)
    guard var merged = all.first else { return nil }
    for other in all.dropFirst() { merged.add(other) }
    return merged
  }
}

/// One figure over the rounds.
struct Summary {
  var values: [Double]
  /// Medians over the rounds, for one operation.
  var wallNanoseconds: Double
  var cpuNanoseconds: Double

  init(_ readings: [Reading]) {
    values = readings.map(\.value).sorted()
    wallNanoseconds = Self.median(readings.map { $0.wallSeconds * 1e9 / Double($0.operations) })
    cpuNanoseconds = Self.median(readings.map { $0.cpuSeconds * 1e9 / Double($0.operations) })
  }

  var median: Double { Self.median(values) }
  var minimum: Double { values[0] }
  var maximum: Double { values[values.count - 1] }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}
