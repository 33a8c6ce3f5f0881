import CMeasure
import Foundation

/// Times many operations one by one.
struct Trips: Sendable {
  let count: Int
  /// Microseconds without work before each; it is not a part of the time.
  var pause: UInt32 = 0
  private var times: [UInt64] = []
  private var sum = 0
  private(set) var elapsed = Elapsed()

  init(count: Int, pause: UInt32 = 0) {
    self.count = count
    self.pause = pause
    times.reserveCapacity(count)
  }

  private func rest() { if pause > 0 { usleep(pause) } }

  /// `workers` names the processes whose processor time counts, when it has warmed up.
  mutating func run(workers: () -> [Int32] = { [] }, _ trip: (Int) throws -> Int) rethrows {
    for i in 0..<(count / 10 + 1) { _ = try trip(i) }
    let watch = Stopwatch(workers: workers())
    for i in 0..<count {
      rest()
      let start = measure_monotonic_nanoseconds()
      sum += try trip(i)
      times.append(measure_monotonic_nanoseconds() - start)
    }
    elapsed = watch.stop()
  }

  nonisolated(nonsending) mutating func run(_ trip: (Int) async throws -> Int) async rethrows {
    for i in 0..<(count / 10 + 1) { _ = try await trip(i) }
    let watch = Stopwatch()
    for i in 0..<count {
      rest()
      let start = measure_monotonic_nanoseconds()
      sum += try await trip(i)
      times.append(measure_monotonic_nanoseconds() - start)
    }
    elapsed = watch.stop()
  }

  static let metrics: [Metric] =
    ["p50", "p90", "p99", "p99.9", "max"].map { Metric(name: $0, unit: .nanoseconds) }

  /// Exact percentiles (nearest rank), the first with the whole distribution.
  func readings(_ what: String) throws -> [Reading] {
    try expect(sum, triangle(count), what)
    let sorted = times.sorted()
    return zip(Self.metrics, [0.5, 0.9, 0.99, 0.999, 1]).enumerated().map { index, pair in
      let rank = max(0, Int((Double(count) * pair.1).rounded(.up)) - 1)
      return elapsed.reading(
        pair.0.name, Double(sorted[rank]), operations: count, histogram: index == 0 ? Histogram(times) : nil)
    }
  }
}

/// Counts by size, 100 buckets to a factor of ten.
struct Histogram: Codable, Sendable {
  /// The bucket's number to its count.
  private(set) var counts: [Int: Int] = [:]

  init(_ nanoseconds: [UInt64]) {
    for time in nanoseconds { counts[Int((log10(Double(max(1, time))) * 100).rounded(.down)), default: 0] += 1 }
  }

  mutating func add(_ other: Histogram) { counts.merge(other.counts, uniquingKeysWith: +) }

  /// Nanoseconds, and the share of operations that took at most so long.
  var cumulative: [(nanoseconds: Double, share: Double)] {
    let total = Double(counts.values.reduce(0, +))
    var seen = 0
    return counts.sorted { $0.key < $1.key }.map { bucket, count in
      seen += count
      return (pow(10, Double(bucket + 1) / 100), Double(seen) / total)
    }
  }
}
