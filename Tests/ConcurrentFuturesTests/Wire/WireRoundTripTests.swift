import Foundation
import Testing

@testable import ConcurrentFutures

private enum Shape: Codable, Equatable {
  case empty
  case circle(radius: Double)
  case rectangle(Double, Double)
  indirect case group(name: String, [Shape])
}

private enum Planet: String, Codable { case earth, mars }

private struct Point: Codable, Hashable {
  var x: Int
  var y: Int
}

/// A key that dictionaries encode as text.
private struct Tag: Codable, Hashable, CodingKeyRepresentable {
  var name: String
  init(name: String) { self.name = name }
  init?(codingKey: some CodingKey) { name = codingKey.stringValue }
  var codingKey: any CodingKey { WireKey(stringValue: name) }
}

private struct Mixed: Codable, Equatable {
  var id: Int
  var small: Int8
  var weight: Double
  var ratio: Float
  var name: String
  var note: String?
  var shape: Shape
  var samples: [Double]
  var tags: Set<String>
  var counts: [String: Int]
  var byNumber: [Int: String]
  var nested: [[Int]]
  var optionals: [Double?]
  var flag: Bool
  var big: UInt64
}

extension Shape {
  fileprivate static func random(_ generator: inout SeededGenerator, depth: Int = 0) -> Shape {
    switch Int.random(in: 0..<(depth < 4 ? 4 : 3), using: &generator) {
    case 0: .empty
    case 1: .circle(radius: .random(in: -1...1, using: &generator))
    case 2: .rectangle(.random(in: 0...1, using: &generator), .infinity)
    default:
      .group(
        name: "g\(depth)",
        (0..<Int.random(in: 0..<4, using: &generator)).map { _ in .random(&generator, depth: depth + 1) })
    }
  }
}

private func randomText(_ generator: inout SeededGenerator) -> String {
  let alphabet: [Character] = ["a", "Z", "0", " ", "é", "日", "🙂", "e\u{301}", "\0", "\n"]
  let count = [0, 1, 5, 15, 16, 31, 32, 80, 300].randomElement(using: &generator)!
  return String((0..<count).map { _ in alphabet.randomElement(using: &generator)! })
}

private func randomInteger<I: FixedWidthInteger>(_ type: I.Type, _ generator: inout SeededGenerator) -> I {
  let value = I.random(in: .min ... .max, using: &generator)
  return value >> I(Int.random(in: 0..<I.bitWidth, using: &generator))
}

extension Mixed {
  fileprivate static func random(_ generator: inout SeededGenerator) -> Mixed {
    func list<T>(_ make: (inout SeededGenerator) -> T) -> [T] {
      (0..<Int.random(in: 0..<20, using: &generator)).map { _ in make(&generator) }
    }
    return Mixed(
      id: randomInteger(Int.self, &generator), small: randomInteger(Int8.self, &generator),
      weight: Double(bitPattern: generator.next() >> 2), ratio: .random(in: 0...1, using: &generator),
      name: randomText(&generator), note: Bool.random(using: &generator) ? randomText(&generator) : nil,
      shape: .random(&generator), samples: list { .random(in: 0...1, using: &$0) }, tags: Set(list { randomText(&$0) }),
      counts: Dictionary(list { (randomText(&$0), randomInteger(Int.self, &$0)) }) { $1 },
      byNumber: Dictionary(list { (randomInteger(Int.self, &$0), randomText(&$0)) }) { $1 },
      nested: list { generator in (0..<3).map { _ in randomInteger(Int.self, &generator) } },
      optionals: list { Bool.random(using: &$0) ? 1.5 : nil }, flag: .random(using: &generator),
      big: randomInteger(UInt64.self, &generator))
  }
}

@Suite struct WireRoundTripTests {
  @Test func integersOfEveryWidthKeepTheirExtremes() throws {
    func check<I: FixedWidthInteger & Codable>(_ type: I.Type) throws {
      for shift in 0..<I.bitWidth {
        let power = I(truncatingIfNeeded: 1) << I(shift)
        for value in [power, power &- 1, 0 &- power, ~power] {
          try expectRoundTrip(value)
          try expectRoundTrip([value: value])
        }
      }
      try expectRoundTrip([I.min, I.max, 0])
      try expectRoundTrip(Set([I.min, I.max, 0]))
    }
    try check(Int.self)
    try check(Int8.self)
    try check(Int16.self)
    try check(Int32.self)
    try check(Int64.self)
    try check(Int128.self)
    try check(UInt.self)
    try check(UInt8.self)
    try check(UInt16.self)
    try check(UInt32.self)
    try check(UInt64.self)
    try check(UInt128.self)
  }

  @Test func floatingPointKeepsEveryBit() throws {
    let patterns: [UInt64] = [0, 1 << 63, 1, 0x7FF0_0000_0000_0000, 0x7FF8_0000_0000_0123, .max, 0x3FF0_0000_0000_0001]
    for pattern in patterns {
      let value = Double(bitPattern: pattern)
      #expect(try roundTrip(value).bitPattern == pattern)
      #expect(try roundTrip(["k": value])["k"]?.bitPattern == pattern)
      let float = Float(bitPattern: UInt32(truncatingIfNeeded: pattern >> 32))
      #expect(try roundTrip(float).bitPattern == float.bitPattern)
    }
  }

  @Test func stringsOfEveryLengthAndScriptSurvive() throws {
    for count in Array(0...40) + [254, 255, 256, 257, 65535, 65536, 100_000] {
      try expectRoundTrip(String(repeating: "x", count: count))
      try expectRoundTrip([String(repeating: "é", count: count)])
    }
    let decomposed = "e\u{301}"
    #expect(try Array(roundTrip(decomposed).utf8) == Array(decomposed.utf8))
    let substring = "prefix-body"[...].dropFirst(7)
    #expect(try roundTrip(String(substring)) == "body")
  }

  @Test func structsOfEverythingSurvive() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<300 { try expectRoundTrip(Mixed.random(&generator)) }
    try expectRoundTrip((0..<100).map { _ in Mixed.random(&generator) })
  }

  @Test func oneEncoderAndDecoderServeManyMessages() throws {
    var generator = SeededGenerator(seed: 2)
    let encoder = WireEncoder()
    let decoder = WireDecoder()
    for round in 0..<200 {
      let value = Mixed.random(&generator)
      #expect(try decoder.decode(Mixed.self, from: encoder.encode(value)) == value)
      #expect(try decoder.decode(Int.self, from: encoder.encode(round)) == round)
      #expect(throws: (any Error).self) { try decoder.decode(Mixed.self, from: encoder.encode(round)) }
      #expect(throws: (any Error).self) { try encoder.encode(Failing()) }
    }
  }

  @Test func messagesCanFollowOtherBytes() throws {
    var buffer = ByteBuffer()
    buffer.append(UInt8(0xEE))
    let encoder = WireEncoder()
    #expect(try encoder.encode(["a": 1], appendingTo: &buffer).isEmpty)
    let middle = buffer.count
    #expect(throws: (any Error).self) { try encoder.encode(Failing(), appendingTo: &buffer) }
    #expect(throws: (any Error).self) { try encoder.encode([Interleaved(fails: true)], appendingTo: &buffer) }
    #expect(buffer.count == middle)
    #expect(try encoder.encode([Interleaved()], appendingTo: &buffer).isEmpty)
    let first = UnsafeRawBufferPointer(rebasing: buffer.bytes[1..<middle])
    let second = UnsafeRawBufferPointer(rebasing: buffer.bytes[middle...])
    #expect(try WireDecoder().decode([String: Int].self, from: first) == ["a": 1])
    #expect(try WireDecoder().decode([Interleaved].self, from: second) == [Interleaved()])
  }

  @Test func topLevelFragmentsSurvive() throws {
    try expectRoundTrip(true)
    try expectRoundTrip(Optional<Int>.none)
    try expectRoundTrip(Optional<Int>.some(3))
    try expectRoundTrip([Int]())
    try expectRoundTrip([String: Int]())
    try expectRoundTrip(Shape.empty)
    try expectRoundTrip(EmptyStruct())
    try expectRoundTrip([EmptyStruct(), EmptyStruct()])
    try expectRoundTrip([Int??]([nil, 1]))
  }

  @Test func dictionariesWithAnyKeySurvive() throws {
    try expectRoundTrip([Planet.earth: 1, .mars: 2])
    try expectRoundTrip([UUID(): "a", UUID(): "b"])
    try expectRoundTrip([Point(x: 1, y: 2): [1.5], Point(x: -1, y: 0): []])
    try expectRoundTrip([[1, 2]: true, []: false])
    try expectRoundTrip([Tag(name: "a"): 1, Tag(name: "b"): 2])
    try expectRoundTrip([Tag(name: "a"): [Planet.mars: [Point(x: 0, y: 0): UUID()]]])
    try expectRoundTrip([Planet: Int]())
    try expectRoundTrip([Tag: Int]())
    #expect(try wireValue([String: Int].self, wireBytes([Tag(name: "a"): 1])) == ["a": 1], "keyed by its coding key")
    #expect(throws: DecodingError.self) { try wireValue([String: Int].self, wireBytes([Planet.earth: 1])) }
  }

  @Test func foundationTypesSurvive() throws {
    try expectRoundTrip(Date(timeIntervalSinceReferenceDate: 12345.678))
    try expectRoundTrip(UUID())
    try expectRoundTrip(URL(string: "https://example.org/a?b=c#d")!)
    try expectRoundTrip(Decimal(string: "123456789.987654321")!)
    try expectRoundTrip(["when": Date(timeIntervalSince1970: 1)])
    try expectRoundTrip(DateComponents(year: 2024, month: 2))
    try expectRoundTrip(IndexSet([1, 2, 9]))
    try expectRoundTrip(CGRect(x: 1, y: 2, width: 3, height: 4))
    for count in [0, 1, 14, 15, 254, 255, 256, 257, 70_000] {
      let data = Data((0..<count).map { UInt8(truncatingIfNeeded: $0) })
      try expectRoundTrip(data)
      try expectRoundTrip([data, data])
      try expectRoundTrip(data.dropFirst(count / 2))
      #expect(try wireBytes(data).count <= count + 32)
    }
  }

  @Test func aMessageIsSmallerThanItsJSON() throws {
    var generator = SeededGenerator(seed: 3)
    let values = (0..<200).map { _ in Mixed.random(&generator) }.map { value in
      var value = value
      value.shape = .circle(radius: 1)
      value.weight = 1.5
      return value
    }
    #expect(try wireBytes(values).count < JSONEncoder().encode(values).count)
  }
}

struct EmptyStruct: Codable, Equatable {}

struct Failing: Codable {
  struct Refusal: Error {}
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: WireKey.self)
    try container.encode("some bytes", forKey: WireKey(stringValue: "first"))
    throw Refusal()
  }
}

/// Writes to two open containers in turn.
struct Interleaved: Codable, Equatable {
  var fails = false
  private enum Keys: CodingKey { case a, b, x, y, list }

  init(fails: Bool = false) { self.fails = fails }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    var first = container.nestedContainer(keyedBy: Keys.self, forKey: .a)
    var second = container.nestedContainer(keyedBy: Keys.self, forKey: .b)
    var list = container.nestedUnkeyedContainer(forKey: .list)
    try first.encode(1, forKey: .x)
    try second.encode(2, forKey: .x)
    try list.encode([3.5, 4.5])
    try first.encode("one", forKey: .y)
    try second.encode(["two": [2]], forKey: .y)
    var inner = list.nestedContainer(keyedBy: Keys.self)
    try list.encode(false)
    try inner.encode([1, 2], forKey: .x)
    if fails { throw Failing.Refusal() }
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    let first = try container.nestedContainer(keyedBy: Keys.self, forKey: .a)
    let second = try container.nestedContainer(keyedBy: Keys.self, forKey: .b)
    var list = try container.nestedUnkeyedContainer(forKey: .list)
    #expect(try second.decode([String: [Int]].self, forKey: .y) == ["two": [2]])
    #expect(try first.decode(Int.self, forKey: .x) == 1)
    #expect(try second.decode(Int.self, forKey: .x) == 2)
    #expect(try first.decode(String.self, forKey: .y) == "one")
    #expect(list.count == 3)
    #expect(try list.decode([Double].self) == [3.5, 4.5])
    #expect(try list.nestedContainer(keyedBy: Keys.self).decode([Int].self, forKey: .x) == [1, 2])
    #expect(try list.decode(Bool.self) == false)
    #expect(list.isAtEnd)
  }
}
