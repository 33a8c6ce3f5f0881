import Testing

@testable import ConcurrentFutures

private enum Keys: String, CodingKey { case a, b, c, d, nested, list, missing }

/// Runs closures as `encode(to:)` and `init(from:)`, which are handed over by a task-local value.
private struct Scripted: Codable {
  typealias Write = @Sendable (any Encoder) throws -> Void
  typealias Read = @Sendable (any Decoder) throws -> Void

  /// An object, because task-local closures crash in optimised builds of Swift 6.3.
  private final class Script: Sendable {
    let write: Write
    let read: Read
    init(write: @escaping Write = { _ in }, read: @escaping Read = { _ in }) {
      self.write = write
      self.read = read
    }
  }

  @TaskLocal private static var script = Script()

  init() {}
  init(from decoder: any Decoder) throws { try Scripted.script.read(decoder) }
  func encode(to encoder: any Encoder) throws { try Scripted.script.write(encoder) }

  static func writing<R>(_ write: @escaping Write, _ body: () throws -> R) throws -> R {
    try $script.withValue(Script(write: write), operation: body)
  }

  static func reading<R>(_ read: @escaping Read, _ body: () throws -> R) throws -> R {
    try $script.withValue(Script(read: read), operation: body)
  }

  static func bytes(_ write: @escaping Write) throws -> [UInt8] {
    try writing(write) { try wireBytes(Scripted()) }
  }

  static func check(_ write: @escaping Write, _ read: @escaping Read) throws {
    let bytes = try bytes(write)
    _ = try reading(read) { try wireValue(Scripted.self, bytes) }
  }
}

private class Base: Codable {
  var a = 1
  var shared = "base"
  init() {}
}

private final class Derived: Base {
  var b = "two"
  private enum DerivedKeys: String, CodingKey { case b, shared }

  override init() { super.init() }

  required init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: DerivedKeys.self)
    b = try container.decode(String.self, forKey: .b)
    try super.init(from: container.superDecoder())
  }

  override func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: DerivedKeys.self)
    try super.encode(to: container.superEncoder())
    try container.encode(b, forKey: .b)
  }
}

private final class Sharing: Base {
  var b = "two"
  private enum SharingKeys: String, CodingKey { case b, shared }

  override init() { super.init() }

  required init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: SharingKeys.self)
    b = try container.decode(String.self, forKey: .b)
    try super.init(from: decoder)
  }

  override func encode(to encoder: any Encoder) throws {
    try super.encode(to: encoder)
    var container = encoder.container(keyedBy: SharingKeys.self)
    try container.encode(b, forKey: .b)
    try container.encode("derived", forKey: .shared)
  }
}

@Suite struct WireContainerTests {
  @Test func keysAreFoundInAnyOrderAndMissingOnesAreMissed() throws {
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode(1, forKey: .a)
      try container.encode("two", forKey: .b)
      try container.encodeNil(forKey: .c)
      try container.encode([4.5], forKey: .d)
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      #expect(Set(container.allKeys) == [.a, .b, .c, .d])
      for _ in 0..<3 {
        #expect(try container.decode([Double].self, forKey: .d) == [4.5])
        #expect(!container.contains(.missing))
        #expect(try container.decodeIfPresent(Int.self, forKey: .missing) == nil)
        #expect(try container.decodeIfPresent([Int].self, forKey: .missing) == nil)
        #expect(try container.decodeNil(forKey: .c))
        #expect(try container.decodeIfPresent(Int.self, forKey: .c) == nil)
        #expect(try !container.decodeNil(forKey: .a))
        #expect(try container.decode(String.self, forKey: .b) == "two")
        #expect(try container.decode(Int.self, forKey: .a) == 1)
        #expect(try container.decode(Int8?.self, forKey: .a) == 1)
        #expect(try container.decode(Int?.self, forKey: .c) == nil)
      }
      let error = #expect(throws: DecodingError.self) { try container.decode(Int.self, forKey: .missing) }
      #expect(place(of: error!).path == "missing")
      #expect(throws: DecodingError.self) { try container.decodeNil(forKey: .missing) }
    }
  }

  @Test func largeContainersAreReadInAnyOrder() throws {
    let keys = (0..<500).map { WireKey(stringValue: "key \($0)") }
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: WireKey.self)
      for (index, key) in keys.enumerated() { try container.encode([index], forKey: key) }
    }) { decoder in
      let container = try decoder.container(keyedBy: WireKey.self)
      for (index, key) in keys.enumerated().reversed() {
        #expect(try container.decode([Int].self, forKey: key) == [index])
      }
      var generator = SeededGenerator(seed: 4)
      for index in keys.indices.shuffled(using: &generator) {
        #expect(try container.decode([Int].self, forKey: keys[index]) == [index])
      }
      #expect(container.allKeys.map(\.stringValue) == keys.map(\.stringValue))
      #expect(!container.contains(WireKey(stringValue: "key 500")))
    }
  }

  @Test func extraKeysAreIgnored() throws {
    struct Wide: Codable { var x = 1, extra = ["deep": [1, 2]], y = 2, more = "text" }
    struct Narrow: Codable, Equatable { var y: Int, x: Int }
    #expect(try wireValue(Narrow.self, wireBytes(Wide())) == Narrow(y: 2, x: 1))
    #expect(try wireValue([Narrow].self, wireBytes([Wide(), Wide()])).count == 2)
  }

  @Test func aKeyThatIsWrittenTwiceKeepsTheLastValue() throws {
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode([1, 2, 3], forKey: .a)
      try container.encode(2, forKey: .b)
      try container.encode("last", forKey: .a)
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      #expect(try container.decode(String.self, forKey: .a) == "last")
      #expect(try container.decode(Int.self, forKey: .b) == 2)
      #expect(container.allKeys.count == 2)
    }
  }

  @Test func containersMayBeWrittenInTurn() throws {
    try expectRoundTrip(Interleaved())
    try expectRoundTrip(["k": [Interleaved(), Interleaved()]])
  }

  @Test func superEncodersHaveTheirOwnPlace() throws {
    let value = Derived()
    value.a = 7
    value.shared = "x"
    let decoded = try roundTrip(value)
    #expect(decoded.a == 7 && decoded.b == "two" && decoded.shared == "x")
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      let first = container.superEncoder()
      let second = container.superEncoder(forKey: .b)
      try container.encode(3, forKey: .c)
      var list = container.nestedUnkeyedContainer(forKey: .list)
      let element = list.superEncoder()
      try list.encode(5)
      try [1].encode(to: element)
      try "second".encode(to: second)
      var single = first.singleValueContainer()
      try single.encode(["k": 1])
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      #expect(try [String: Int](from: container.superDecoder()) == ["k": 1])
      #expect(try String(from: container.superDecoder(forKey: .b)) == "second")
      #expect(try container.decode(Int.self, forKey: .c) == 3)
      var list = try container.nestedUnkeyedContainer(forKey: .list)
      let element = try list.superDecoder()
      #expect(element.codingPath.map(\.stringValue) == ["list", "Index 0"])
      #expect(try [Int](from: element) == [1])
      #expect(try list.decode(Int.self) == 5)
    }
  }

  @Test func aSubclassMayShareTheContainerOfItsBase() throws {
    let value = Sharing()
    value.a = 9
    let decoded = try roundTrip(value)
    #expect(decoded.a == 9 && decoded.b == "two" && decoded.shared == "derived")
  }

  @Test func unkeyedContainersCountAndLookAhead() throws {
    try Scripted.check({ encoder in
      var list = encoder.unkeyedContainer()
      #expect(list.count == 0)
      try list.encode(contentsOf: [UInt8](0..<200))
      try list.encode("after")
      try list.encodeNil()
      try list.encode(contentsOf: [1.5, 2.5])
      try list.encode(contentsOf: [Double]())
      try list.encode(contentsOf: stride(from: 1, to: 4, by: 1))
      #expect(list.count == 207)
    }) { decoder in
      var list = try decoder.unkeyedContainer()
      #expect(list.count == 207)
      for index in 0..<200 {
        #expect(list.currentIndex == index)
        #expect(try !list.decodeNil())
        #expect(try list.decode(UInt8.self) == UInt8(index))
      }
      var ahead = list
      #expect(try ahead.decode(String.self) == "after")
      #expect(throws: DecodingError.self) { try list.decode(Int.self) }
      #expect(try list.decode(String.self) == "after")
      #expect(try list.decodeNil())
      #expect(try list.decode(Double?.self) == 1.5)
      #expect(throws: DecodingError.self) { try list.decode(Bool.self) }
      #expect(throws: DecodingError.self) { try list.nestedUnkeyedContainer() }
      #expect(try list.decode(Double.self) == 2.5)
      #expect(try list.decode(Int.self) == 1)
      #expect(try list.decode(Int8.self) == 2)
      #expect(try list.decode(UInt?.self) == 3)
      #expect(list.isAtEnd)
      let error = #expect(throws: DecodingError.self) { try list.decode(Int.self) }
      #expect(place(of: error!).path == "Index 207")
    }
  }

  @Test func aFailedValueLeavesNoTrace() throws {
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode(1, forKey: .a)
      #expect(throws: Failing.Refusal.self) { try container.encode(Failing(), forKey: .b) }
      #expect(throws: Failing.Refusal.self) { try container.encode([[Failing()]], forKey: .b) }
      try container.encode("instead", forKey: .b)
      var list = container.nestedUnkeyedContainer(forKey: .list)
      #expect(throws: Failing.Refusal.self) { try list.encode(Failing()) }
      #expect(list.count == 0)
      try list.encode([7])
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      #expect(container.allKeys == [.a, .b, .list])
      #expect(try container.decode(String.self, forKey: .b) == "instead")
      #expect(try container.decode([[Int]].self, forKey: .list) == [[7]])
    }
  }

  @Test func aFailedValueLeavesNoTraceInTheDeferredMode() throws {
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      var first = container.nestedContainer(keyedBy: Keys.self, forKey: .a)
      var list = container.nestedUnkeyedContainer(forKey: .list)
      try first.encode(1, forKey: .a)
      try list.encode([EmptyStruct()])
      #expect(throws: Failing.Refusal.self) { try list.encode([[Failing()]]) }
      #expect(throws: Failing.Refusal.self) { try first.encode([Failing()], forKey: .b) }
      try list.encode([EmptyStruct(), EmptyStruct()])
      try first.encode([2], forKey: .b)
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      let first = try container.nestedContainer(keyedBy: Keys.self, forKey: .a)
      #expect(first.allKeys == [.a, .b])
      #expect(try container.decode([[EmptyStruct]].self, forKey: .list).map(\.count) == [1, 2])
    }
  }

  @Test func aSecondValueOrAnotherKindOfContainerIsAnError() throws {
    #expect(throws: EncodingError.self) {
      try Scripted.bytes { encoder in
        var single = encoder.singleValueContainer()
        try single.encode(1)
        try single.encode(2)
      }
    }
    #expect(throws: EncodingError.self) {
      try Scripted.bytes { encoder in
        _ = encoder.container(keyedBy: Keys.self)
        _ = encoder.unkeyedContainer()
      }
    }
  }

  @Test func containersThatOutliveTheirMessageThrow() throws {
    nonisolated(unsafe) var late: (any UnkeyedEncodingContainer)?
    nonisolated(unsafe) var lateDecoder: (any Decoder)?
    nonisolated(unsafe) var lateKeyed: KeyedDecodingContainer<Keys>?
    nonisolated(unsafe) var lateList: (any UnkeyedDecodingContainer)?
    let encoder = WireEncoder()
    let decoder = WireDecoder()
    let message = try Scripted.writing({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode([1.5], forKey: .a)
      late = container.nestedUnkeyedContainer(forKey: .list)
      try late!.encode(contentsOf: [1, 2, 3])
    }) { try encoder.encode(Scripted()) }
    _ = try Scripted.reading({ decoder in
      lateDecoder = decoder
      lateKeyed = try decoder.container(keyedBy: Keys.self)
      lateList = try lateKeyed!.nestedUnkeyedContainer(forKey: .list)
      #expect(try lateList!.decode(Int.self) == 1)
    }) { try decoder.decode(Scripted.self, from: message) }
    #expect(throws: EncodingError.self) { try late!.encode(1) }
    #expect(throws: EncodingError.self) { try late!.encode(["x"]) }
    #expect(throws: DecodingError.self) { try lateDecoder!.container(keyedBy: Keys.self) }
    #expect(throws: DecodingError.self) { try lateDecoder!.unkeyedContainer() }
    #expect(throws: DecodingError.self) { try lateKeyed!.decode([Double].self, forKey: .a) }
    #expect(throws: DecodingError.self) { try lateList!.decode(Int.self) }
    #expect(lateKeyed!.allKeys.isEmpty)
    #expect(try decoder.decode([Int].self, from: encoder.encode([1, 2])) == [1, 2])
    let other = try Scripted.writing({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      #expect(throws: EncodingError.self) { try late!.encode(1) }
      _ = late!.nestedUnkeyedContainer()
      try container.encode("good", forKey: .a)
    }) { try encoder.encode(Scripted()) }
    #expect(try decoder.decode([String: String].self, from: other) == ["a": "good"])
  }

  /// A known idiom: a value keeps its decoder, and its parent decides later what to decode from it.
  @Test func aDecoderMayBeKeptWithinTheMessage() throws {
    struct Unwrapper: Decodable {
      let decoder: any Decoder
      init(from decoder: any Decoder) throws { self.decoder = decoder }
    }
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode(["x": 1], forKey: .a)
      try container.encode([["y": 2]], forKey: .b)
    }) { decoder in
      let container = try decoder.container(keyedBy: Keys.self)
      let first = try container.decode(Unwrapper.self, forKey: .a).decoder
      let second = try container.decode([Unwrapper].self, forKey: .b)[0].decoder
      #expect(try [String: Int](from: first) == ["x": 1])
      #expect(try [String: Int](from: second) == ["y": 2])
    }
  }

  @Test func integerKeysAreReturnedAsIntegers() throws {
    struct IntegerKey: CodingKey {
      let intValue: Int?
      var stringValue: String { "number \(intValue!)" }
      init?(intValue: Int) { self.intValue = intValue }
      init?(stringValue: String) { nil }
    }
    try Scripted.check({ encoder in
      var container = encoder.container(keyedBy: IntegerKey.self)
      try container.encode("x", forKey: IntegerKey(intValue: -42)!)
    }) { decoder in
      let container = try decoder.container(keyedBy: IntegerKey.self)
      #expect(container.allKeys.map(\.intValue) == [-42])
      #expect(try container.decode(String.self, forKey: container.allKeys[0]) == "x")
    }
  }

  @Test func equalKeysInOtherCodePointsAreFound() throws {
    let bytes = try wireBytes(["caf\u{E9}": 1])
    try Scripted.reading({ decoder in
      let container = try decoder.container(keyedBy: WireKey.self)
      #expect(try container.decode(Int.self, forKey: WireKey(stringValue: "cafe\u{301}")) == 1)
    }) { _ = try wireValue(Scripted.self, bytes) }
  }
}
