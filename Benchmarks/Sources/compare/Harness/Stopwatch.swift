import CMeasure

/// Wall time and processor time since a moment.
struct Stopwatch: Sendable {
  private let workers: [Int32]
  private let wall: UInt64
  private let cpu: UInt64

  /// Starts. The processor time is that of this process and its ended children, and of `workers`, which must not end meanwhile.
  init(workers: [Int32] = []) {
    self.workers = workers
    cpu = Self.processorTime(workers)
    wall = measure_monotonic_nanoseconds()
  }

  func stop() -> Elapsed {
    let wallNow = measure_monotonic_nanoseconds()
    return Elapsed(
      wallSeconds: Double(wallNow - wall) / 1e9, cpuSeconds: Double(Self.processorTime(workers) - cpu) / 1e9)
  }

  private static func processorTime(_ workers: [Int32]) -> UInt64 {
    workers.reduce(measure_cpu_nanoseconds()) { $0 + measure_cpu_nanoseconds_of($1) }
  }
}

struct Elapsed: Sendable {
  var wallSeconds = 0.0
  var cpuSeconds = 0.0

  static func + (a: Elapsed, b: Elapsed) -> Elapsed {
    Elapsed(wallSeconds: a.wallSeconds + b.wallSeconds, cpuSeconds: a.cpuSeconds + b.cpuSeconds)
  }

  func reading(
    _ metric: String, _ value: Double, operations: Int, variant: String? = nil, histogram: Histogram? = nil
  ) -> Reading {
    Reading(
      metric: metric, variant: variant, value: value, operations: operations, wallSeconds: wallSeconds,
      cpuSeconds: cpuSeconds, histogram: histogram)
  }

  func rate(_ operations: Int, variant: String? = nil) -> Reading {
    reading("rate", Double(operations) / wallSeconds, operations: operations, variant: variant)
  }

  func timeEach(_ operations: Int, metric: String = "time each", variant: String? = nil) -> Reading {
    reading(metric, wallSeconds * 1e9 / Double(operations), operations: operations, variant: variant)
  }
}
