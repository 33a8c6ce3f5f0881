import Codec
import Foundation

enum Shape: Codable {
  case circle(radius: Double)
  case rectangle(width: Double, height: Double)
  case none
}

struct Record: Codable {
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
}

func shape(_ index: Int) -> Shape {
  switch index % 3 {
  case 0: .circle(radius: Double(index) / 7)
  case 1: .rectangle(width: Double(index) / 3, height: 0.1)
  default: .none
  }
}

func record(_ index: Int) -> Record {
  Record(
    id: index, group: index % 17, stamp: 1_700_000_000_000 + Int64(index) * 977, x: Double(index) * 0.37,
    y: Double(index).squareRoot(), name: "record-\(index)", comment: "a comment of about forty characters \(index)",
    note: index % 3 == 0 ? "note \(index)" : nil, shape: shape(index),
    samples: (0..<8).map { Double(index + $0) / 9 })
}

let records = (0..<10_000).map(record)

/// The median time of one call in nanoseconds.
func median(_ rounds: Int = 15, calls: Int = 1, _ body: () throws -> Void) rethrows -> Double {
  var times: [Double] = []
  let clock = ContinuousClock()
  for _ in 0..<rounds {
    let time = try clock.measure { for _ in 0..<calls { try body() } }
    times.append((Double(time.components.seconds) * 1e9 + Double(time.components.attoseconds) / 1e9) / Double(calls))
  }
  return times.sorted()[rounds / 2]
}

func pad(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

func row(_ name: String, _ byteCount: Int, _ encode: Double, _ decode: Double) {
  func number(_ value: Double) -> String { pad(String(format: "%.1f", value), 10) }
  let megabytes = Double(byteCount) / 1e6
  print(
    name.padding(toLength: 30, withPad: " ", startingAt: 0), pad("\(byteCount)", 9),
    number(encode / 1e6), number(megabytes / (encode / 1e9)), number(decode / 1e6), number(megabytes / (decode / 1e9)))
}

let coder = Coder()
if CommandLine.arguments.contains("--first") {
  struct First: Codable { var a = 1, b = "b" }
  let clock = ContinuousClock()
  print("first Int:", try clock.measure { _ = try coder.encode(1) })
  print("first struct:", try clock.measure { _ = try coder.encode(First()) })
  print("first decoding of a struct:", try clock.measure { _ = try coder.decode(First.self) })
  print("first array of structs:", try clock.measure { _ = try coder.encode([First()]) })
  print("first array of Double:", try clock.measure { _ = try coder.encode([1.5]) })
  exit(0)
}
if CommandLine.arguments.contains("--profile") {
  for _ in 0..<200 {
    _ = try coder.encode(records)
    if !CommandLine.arguments.contains("--encode") { _ = try coder.decode([Record].self) }
  }
  exit(0)
}

if CommandLine.arguments.contains("--profile-one") {
  for _ in 0..<1_000_000 {
    _ = try coder.encode(records[0])
    if !CommandLine.arguments.contains("--encode") { _ = try coder.decode(Record.self) }
  }
  exit(0)
}

print("10,000 mixed records              bytes  encode ms       MB/s  decode ms       MB/s")
let byteCount = try coder.encode(records)
row(
  "this coder", byteCount, try median { _ = try coder.encode(records) },
  try median { _ = try coder.decode([Record].self) })
let json = try JSONEncoder().encode(records)
row(
  "JSONEncoder", json.count, try median { _ = try JSONEncoder().encode(records) },
  try median { _ = try JSONDecoder().decode([Record].self, from: json) })
let listEncoder = PropertyListEncoder()
listEncoder.outputFormat = .binary
let list = try listEncoder.encode(records)
row(
  "PropertyListEncoder (binary)", list.count, try median(5) { _ = try listEncoder.encode(records) },
  try median(5) { _ = try PropertyListDecoder().decode([Record].self, from: list) })

print("\none value                         bytes  encode ns  decode ns")
@MainActor func small<T: Codable>(_ name: String, _ value: T, calls: Int = 10_000) throws {
  let byteCount = try coder.encode(value)
  let encode = try median(calls: calls) { _ = try coder.encode(value) }
  let decode = try median(calls: calls) { _ = try coder.decode(T.self) }
  print(
    name.padding(toLength: 30, withPad: " ", startingAt: 0), pad("\(byteCount)", 9),
    pad(String(format: "%.1f", encode), 10), pad(String(format: "%.1f", decode), 10))
}
struct Pair: Codable { var a: Int, b: Int }
try small("Int", 123_456)
try small("Bool", true)
try small("Double", 1.5)
try small("String of 11", "hello world")
try small("String of 60", String(repeating: "hello ", count: 10))
try small("[Double] of 8", (0..<8).map(Double.init))
try small("struct of 2 Int", Pair(a: 1, b: 2))
try small("one record", records[0])
try small("[Int?] of 1000", (0..<1000).map { $0 % 2 == 0 ? $0 : nil }, calls: 100)
try small("[String: Int] of 1000", Dictionary(uniqueKeysWithValues: (0..<1000).map { ("key \($0)", $0) }), calls: 100)
try small("[Double] of 1 MiB", (0..<131_072).map(Double.init), calls: 20)
try small("Data of 1 MiB", Data(repeating: 7, count: 1 << 20), calls: 20)
