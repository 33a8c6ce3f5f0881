import Foundation
import Synchronization
import Testing

@testable import ConcurrentFutures

private struct Outer<Leaf: Codable>: Codable {
  var items: [Item]
  struct Item: Codable { var leaf: Leaf }
  init(_ leaves: Leaf...) { items = leaves.map { Item(leaf: $0) } }
}

private indirect enum Chain: Codable, Equatable {
  case end
  case link(Chain)

  init(length: Int) {
    self = .end
    for _ in 0..<length { self = .link(self) }
  }
}

private final class Loop: Encodable {
  // Not retained: the loop must not outlive its test.
  private unowned(unsafe) var next: Loop?
  init() { next = self }
}

/// Recursion that leaves no trace in the bytes.
private struct Bottomless: Codable {
  init() {}
  init(from decoder: any Decoder) throws { _ = try decoder.singleValueContainer().decode(Bottomless.self) }
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Bottomless())
  }
}

private struct DeepContainers: Codable {
  static let depth = 100_000
  init() {}
  init(from decoder: any Decoder) throws {}
  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    for _ in 0..<DeepContainers.depth { container = container.nestedUnkeyedContainer() }
    try container.encode(1)
  }
}

@Suite struct WireErrorTests {
  private func decodingError<T: Decodable>(_ type: T.Type, _ value: some Encodable) throws -> DecodingError {
    let bytes = try wireBytes(value)
    return try #require(#expect(throws: DecodingError.self) { try wireValue(type, bytes) })
  }

  @Test func decodingErrorsSayWhereAndWhat() throws {
    let mismatch = try decodingError(Outer<Int>.self, Outer("a", "b"))
    #expect(place(of: mismatch) == ("items/Index 0/leaf", "Expected Int but found a string."))
    let missing = try decodingError(Outer<[String: Bool]>.self, ["items": [["leaf": ["x": true]], [:]]])
    #expect(place(of: missing).path == "items/Index 1/leaf")
    let null = try decodingError(Outer<Int>.self, Outer<Int?>(1, nil))
    #expect(place(of: null) == ("items/Index 1/leaf", "Expected Int but found nil."))
    let absent = try decodingError(Outer<Int>.self, ["items": [["other": 1]]])
    guard case .keyNotFound = absent else { return #expect(Bool(false), "\(absent)") }
    #expect(place(of: absent).path == "items/Index 0/leaf")
    let nullElement = try decodingError([String: [String]].self, ["k": ["x", nil]])
    guard case .valueNotFound = nullElement else { return #expect(Bool(false), "\(nullElement)") }
    #expect(place(of: nullElement) == ("k/Index 1", "Expected String but found nil."))
    let deep = try decodingError([[String: [Int8]]].self, [["k": [1]], ["k": [2, 300]]])
    #expect(place(of: deep) == ("Index 1/k/Index 1", "The number 300 does not fit Int8."))
    #expect(try place(of: decodingError(Int8.self, 128)).description == "The number 128 does not fit Int8.")
    #expect(try place(of: decodingError([Int].self, ["k": 1])).description.contains("found a keyed container"))
    #expect(try place(of: decodingError([String: Int].self, [1])).description.contains("found an unkeyed container"))
    #expect(try place(of: decodingError(Bool.self, 1.5)).description == "Expected Bool but found a Double.")
  }

  @Test func numbersThatDoNotFitAreRefused() throws {
    func check<I: FixedWidthInteger & Codable>(_ type: I.Type) throws {
      let above = Int128(I.max) + 1
      let below = Int128(I.min) - 1
      for value in [above, below] {
        guard case .dataCorrupted = try decodingError(type, value) else {
          return #expect(Bool(false), "\(type) \(value)")
        }
        _ = try decodingError([String: I].self, ["k": value])
        _ = try decodingError([I].self, Set([value]))
        _ = try decodingError([I].self, [value])
      }
    }
    try check(Int8.self)
    try check(Int16.self)
    try check(Int32.self)
    try check(Int64.self)
    try check(UInt8.self)
    try check(UInt16.self)
    try check(UInt32.self)
    try check(UInt64.self)
    _ = try decodingError(Float.self, 0.1)
    _ = try decodingError(Double.self, Int.max)
    #expect(try wireValue(Double.self, wireBytes(Float(0.5))) == 0.5)
    #expect(try wireValue(Float.self, wireBytes(7)) == 7)
  }

  @Test func encodingErrorsSayWhere() throws {
    struct TwoValues: Codable {
      init() {}
      init(from decoder: any Decoder) throws {}
      func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(1)
        try container.encode(2)
      }
    }
    let error = try #require(
      #expect(throws: EncodingError.self) { try wireBytes(Outer(TwoValues(), TwoValues())) })
    #expect(place(of: error).path == "items/Index 0/leaf")
  }

  @Test func theCodingPathIsRightWhileCoding() throws {
    struct PathCheck: Codable {
      init() {}
      init(from decoder: any Decoder) throws {
        #expect(decoder.codingPath.map(\.stringValue) == ["items", "Index 1", "leaf"])
        let container = try decoder.unkeyedContainer()
        #expect(container.codingPath.map(\.stringValue) == ["items", "Index 1", "leaf"])
      }
      func encode(to encoder: any Encoder) throws {
        #expect(encoder.codingPath.map(\.stringValue) == ["items", "Index 1", "leaf"])
        var container = encoder.unkeyedContainer()
        try container.encode("x")
        let nested = container.nestedContainer(keyedBy: WireKey.self)
        #expect(nested.codingPath.map(\.stringValue) == ["items", "Index 1", "leaf", "Index 1"])
      }
    }
    _ = try roundTrip(Outer<PathCheck?>(nil, PathCheck()))
  }

  @Test func depthIsLimitedInBothDirections() throws {
    // One link is two levels: the case's container and the payload.
    try expectRoundTrip(Chain(length: 50))
    #expect(throws: EncodingError.self) { try wireBytes(Chain(length: 600)) }
    #expect(throws: EncodingError.self) { try wireBytes(Loop()) }
    #expect(throws: EncodingError.self) { try wireBytes(Bottomless()) }
    #expect(throws: EncodingError.self) { try wireBytes(DeepContainers()) }
    let shallow = WireLimits(maximumDepth: 50)
    let bytes = try wireBytes(Chain(length: 60))
    let error = try #require(
      #expect(throws: DecodingError.self) { try wireValue(Chain.self, bytes, limits: shallow) })
    #expect(place(of: error).description == "The message is nested more than 50 levels deep.")
    #expect(throws: DecodingError.self) { try wireValue(Bottomless.self, wireBytes(1)) }
  }

  @Test func hostileDepthDoesNotOverflowTheStack() throws {
    // Unkeyed containers within each other, as deep as the bytes reach.
    var nested: [UInt8] = [Tag.unkeyed32, 0, 0, 0, 0, 0, 0, 0, 0]
    for _ in 0..<20_000 {
      let count = UInt32(nested.count)
      nested =
        [Tag.unkeyed32] + withUnsafeBytes(of: count.littleEndian, Array.init)
        + withUnsafeBytes(of: UInt32(1).littleEndian, Array.init) + nested
      if nested.count > 60_000 { break }
    }
    #expect(throws: DecodingError.self) { try wireValue(Tree.self, [WireFormat.plainMessage] + nested) }
  }

  @Test func messageSizeIsLimited() throws {
    let limits = WireLimits(maximumMessageByteCount: 1000)
    #expect(throws: EncodingError.self) { try wireBytes(Array(repeating: 1.5, count: 1000), limits: limits) }
    #expect(throws: EncodingError.self) { try wireBytes([String(repeating: "x", count: 1001)], limits: limits) }
    #expect(throws: EncodingError.self) { try wireBytes(String(repeating: "x", count: 1001), limits: limits) }
    #expect(throws: EncodingError.self) { try wireBytes((0..<400).map { ["k": $0] }, limits: limits) }
    #expect(throws: EncodingError.self) { try wireBytes((0..<400).map { "\($0)" }, limits: limits) }
    let bytes = try wireBytes(Array(repeating: 1.5, count: 1000))
    #expect(throws: DecodingError.self) { try wireValue([Double].self, bytes, limits: limits) }
  }
}

private struct Tree: Codable {
  var children: [Tree]
  init(depth: Int) {
    children = []
    for _ in 0..<depth { children = [self] }
  }
  init(from decoder: any Decoder) throws {
    children = []
    var container = try decoder.unkeyedContainer()
    while !container.isAtEnd { children.append(try container.decode(Tree.self)) }
  }
  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    for child in children { try container.encode(child) }
  }
}

@Suite struct WireStackTests {
  /// Runs `body` on a thread with a stack of this size.
  private func onThread(stackByteCount: Int, _ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let thread = Thread { continuation.resume(with: Result(catching: body)) }
      thread.stackSize = stackByteCount
      thread.start()
    }
  }

  @Test func deepValuesFailCleanlyOnASecondaryThread() async throws {
    let unlimited = WireLimits(maximumDepth: 1 << 20, maximumStackByteCount: 1 << 30)
    let chain = Mutex<[UInt8]>([])
    let tree = Mutex<[UInt8]>([])
    try await onThread(stackByteCount: 256 << 20) {
      let deepChain = try wireBytes(Chain(length: 4000), limits: unlimited)
      let deepTree = try wireBytes(Tree(depth: 4000), limits: unlimited)
      chain.withLock { $0 = deepChain }
      tree.withLock { $0 = deepTree }
      #expect(throws: EncodingError.self) { try wireBytes(Tree(depth: 4000)) }
    }
    let noLevels = WireLimits(maximumDepth: 1 << 20)
    let noStack = WireLimits(maximumStackByteCount: 1 << 30)
    try await onThread(stackByteCount: 512 << 10) {
      let (chain, tree) = (chain.withLock { $0 }, tree.withLock { $0 })
      for limits in [WireLimits.standard, noLevels] {
        #expect(throws: DecodingError.self) { try wireValue(Chain.self, chain, limits: limits) }
        #expect(throws: DecodingError.self) { try wireValue(Tree.self, tree, limits: limits) }
      }
      #expect(throws: EncodingError.self) { try wireBytes(Loop()) }
      #expect(throws: EncodingError.self) { try wireBytes(Loop(), limits: noLevels) }
      #expect(throws: EncodingError.self) { try wireBytes(Bottomless(), limits: noLevels) }
    }
    try await onThread(stackByteCount: 256 << 20) {
      #expect(throws: DecodingError.self) { try wireValue(Tree.self, tree.withLock { $0 }, limits: noStack) }
      let whole = try wireValue(Tree.self, tree.withLock { $0 }, limits: unlimited)
      #expect(whole.children.count == 1)
    }
  }
}
