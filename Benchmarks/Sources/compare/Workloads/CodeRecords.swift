import Foundation

/// Can encode and decode.
protocol Codes: Contestant {
  /// Coders by their names.
  func makeCoders() -> [(variant: String, coder: any RecordCoder)]
}

protocol RecordCoder {
  /// Encodes, keeps the encoded form for `decode`, and returns its number of bytes.
  mutating func encode(_ records: [Record]) throws -> Int
  mutating func decode() throws -> [Record]
}

struct CodeRecords: Workload {
  let name = "codec"
  let title = "Encode and decode 10,000 records"
  let text = """
    An array of 10,000 structs, each with integers, numbers, strings, an optional, an enum with payloads and an array of 8 \
    doubles, encoded and decoded in one thread. ConcurrentFutures: the coder between a process pool and its workers, \
    which is not public. MB/s are of the coder's own bytes; more is better there, less elsewhere. Wall and processor time each are of an encoding.
    """
  let metrics = [
    Metric(name: "encode", unit: .nanoseconds), Metric(name: "decode", unit: .nanoseconds),
    Metric(name: "size", unit: .bytes), Metric(name: "encoded", unit: .bytesPerSecond),
    Metric(name: "decoded", unit: .bytesPerSecond),
  ]

  let isShared = false

  func operations(at point: Int) -> Int { 5 }
  func admits(_ contestant: any Contestant) -> Bool { contestant is any Codes }

  func measure(_ contestant: any Contestant, _ plan: Plan) throws -> [Reading] {
    let records = (0..<10_000).map(Record.init)
    return try (contestant as! any Codes).makeCoders().flatMap { variant, coder in
      var coder = coder
      let bytes = try coder.encode(records)
      try expect(coder.decode().reduce(0) { $0 + $1.id }, triangle(records.count) - records.count, name)
      let encoding = Stopwatch()
      for _ in 0..<plan.operations { _ = try coder.encode(records) }
      let encoded = encoding.stop()
      let decoding = Stopwatch()
      for _ in 0..<plan.operations { try expect(coder.decode().count, records.count, name) }
      let decoded = decoding.stop()
      func rate(_ metric: String, _ elapsed: Elapsed) -> Reading {
        let perSecond = Double(bytes * plan.operations) / elapsed.wallSeconds
        return elapsed.reading(metric, perSecond, operations: plan.operations, variant: variant)
      }
      return [
        encoded.timeEach(plan.operations, metric: "encode", variant: variant),
        decoded.timeEach(plan.operations, metric: "decode", variant: variant),
        encoded.reading("size", Double(bytes), operations: plan.operations, variant: variant),
        rate("encoded", encoded), rate("decoded", decoded),
      ]
    }
  }
}

/// What is encoded: a bit of everything.
struct Record: Codable {
  enum Shape: Codable {
    case circle(radius: Double)
    case rectangle(width: Double, height: Double)
    case none
  }

  var id: Int
  var group: Int
  var stamp: Int64
  var x: Double
  var y: Double
  var name: String
  var comment: String
  var note: String?
  var shape: Shape
  var samples: [Double]

  init(_ index: Int) {
    id = index
    group = index % 17
    stamp = 1_700_000_000_000 + Int64(index) * 977
    x = Double(index) * 0.37
    y = Double(index).squareRoot()
    name = "record-\(index)"
    comment = "a comment of about forty characters \(index)"
    note = index % 3 == 0 ? "note \(index)" : nil
    shape =
      switch index % 3 {
      case 0: .circle(radius: Double(index) / 7)
      case 1: .rectangle(width: Double(index) / 3, height: 0.1)
      default: .none
      }
    samples = (0..<8).map { Double(index + $0) / 9 }
  }
}
