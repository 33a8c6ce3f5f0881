// The libFuzzer entry: the decoder and the frame reader, on bytes from anywhere. See `run`.
//
// The first byte of an input chooses what reads the rest. Whatever is decoded must survive a round trip.
import Foundation

indirect enum Node: Codable {
  case leaf
  case text(String)
  case pair(Node, Node?)
  case list([Node])
}

enum Level: Int, Codable { case low, high }

struct Sample: RawBytesCodable {
  var time: Double
  var channel: Int16
}

class Base: Codable {
  var a: Int8
  init(a: Int8) { self.a = a }
}

final class Derived: Base {
  var b: String?
  private enum Keys: CodingKey { case b }
  init(b: String) {
    self.b = b
    super.init(a: 3)
  }
  required init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    b = try container.decodeIfPresent(String.self, forKey: .b)
    try super.init(from: container.superDecoder())
  }
  override func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try super.encode(to: container.superEncoder())
    try container.encodeIfPresent(b, forKey: .b)
  }
}

struct Everything: Codable {
  var id = 300
  var name = "a name that is longer than thirty-one bytes"
  var numbers = [1.5, 2.5]
  var words = ["a", "é"]
  var flags = [true, false]
  var table = ["x": [1, 2], "y": []]
  var byNumber = [1: "one"]
  var byLevel: [Level: Float] = [.low: 0.5]
  var node = Node.pair(.text("p"), .list([.leaf]))
  var nothing: Int?
  var optionals: [Int?] = [1, nil]
  var vector = SIMD4<Float>(1, 2, 3, 4)
  var samples = [Sample(time: 1, channel: 2)]
  var data = Data([1, 2, 3, 4])
  var set: Set<Int8> = [1, -128]
  var date = Date(timeIntervalSinceReferenceDate: 1)
  var url = URL(string: "https://example.org")!
  var decimal = Decimal(12345)
  var huge = Int128.max
  var derived = Derived(b: "b")
}

/// Reads whatever there is through every method of the containers.
struct Anything: Codable {
  init() {}

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(true)
  }

  init(from decoder: any Decoder) throws {
    _ = decoder.codingPath
    if let container = try? decoder.container(keyedBy: WireKey.self) {
      for key in container.allKeys.reversed() {
        _ = try? container.decodeIfPresent(Int16.self, forKey: key)
        _ = try? container.decodeIfPresent([UInt8].self, forKey: key)
        _ = try? container.decodeNil(forKey: key)
        _ = try? container.nestedUnkeyedContainer(forKey: key)
        _ = try container.decode(Anything.self, forKey: key)
      }
      _ = try? container.superDecoder()
    } else if var container = try? decoder.unkeyedContainer() {
      while !container.isAtEnd {
        if try container.decodeNil() { continue }
        if (try? container.decode(UInt8.self)) != nil { continue }
        if (try? container.decode(Bool.self)) != nil { continue }
        if (try? container.decode(Float?.self)) != nil { continue }
        if (try? container.decode(SIMD2<Int32>.self)) != nil { continue }
        _ = try container.decode(Anything.self)
      }
    } else {
      let container = try decoder.singleValueContainer()
      if (try? container.decode(String.self)) != nil { return }
      if (try? container.decode(Int128.self)) != nil { return }
      if (try? container.decode(Double.self)) != nil { return }
      _ = try container.decode(Bool.self)
    }
  }
}

nonisolated(unsafe) private let coder = (encoder: WireEncoder(), decoder: WireDecoder())
nonisolated(unsafe) private let segment = UnsafeRawBufferPointer.allocate(48)

extension UnsafeRawBufferPointer {
  fileprivate static func allocate(_ count: Int) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    memory.initializeMemory(as: UInt8.self, repeating: 1)
    return UnsafeRawBufferPointer(memory)
  }
}

/// The segment as it lies in a ring, or as an array of one type or another.
private func received(_ choice: Int) -> IncomingSegment {
  let elements: [ElementCode] = [.uint8, .int, .double, .custom]
  guard let array = UnfilledArray(of: elements[choice % elements.count], byteCount: segment.count) else {
    return IncomingSegment(segment)
  }
  array.bytes.copyMemory(from: segment)
  return IncomingSegment(array)
}

private func check<T: Codable>(_ type: T.Type, _ bytes: UnsafeRawBufferPointer) {
  guard let value = try? coder.decoder.decode(type, from: bytes, segments: [received(bytes.count)]) else { return }
  do {
    let message = try coder.encoder.encode(value)
    try message.withBytes { _ = try coder.decoder.decode(type, from: $0) }
  } catch {
    fatalError("what was decoded does not survive a round trip: \(error)")
  }
}

private func seeds() throws -> [[UInt8]] {
  func message<T: Encodable>(_ selector: UInt8, _ value: T, threshold: Int = .max) throws -> [UInt8] {
    try [selector] + WireEncoder(segmentThreshold: threshold).encode(value).withBytes { Array($0) }
  }
  return try [
    message(0, Everything()), message(1, Node.pair(.list([.leaf, .text("t")]), nil)),
    message(2, ["a": [1, nil], "b": []]), message(3, [[1.5], []]), message(4, Everything()),
    message(4, [1, -5, 300, 70_000]), message(5, ["x", String(repeating: "long ", count: 60)]),
    message(6, (0..<48).map { UInt8($0) }, threshold: 1), message(6, Data([1, 2, 3])),
    message(7, Int128.min),
  ]
}

/// Writes the seeds, when asked to.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutableRawPointer) -> Int32 {
  guard let folder = ProcessInfo.processInfo.environment["WRITE_SEEDS"] else { return 0 }
  do {
    for (index, seed) in try seeds().enumerated() {
      try Data(seed).write(to: URL(fileURLWithPath: folder).appendingPathComponent("seed-\(index)"))
    }
    exit(0)
  } catch {
    fatalError("\(error)")
  }
}

/// Reads one input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> Int32 {
  guard count > 1, let start else { return 0 }
  let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
  switch start.load(as: UInt8.self) % 8 {
  case 0: check(Everything.self, bytes)
  case 1: check(Node.self, bytes)
  case 2: check([String: [Int?]].self, bytes)
  case 3: check([[Double]].self, bytes)
  case 4: check(Anything.self, bytes)
  case 5: check([String].self, bytes)
  case 6:
    check([UInt8].self, bytes)
    check([Bool].self, bytes)
    check([Int8?].self, bytes)
    check(Data.self, bytes)
    check([Sample].self, bytes)
    check(Set<SIMD2<Float>>.self, bytes)
  default:
    check(Int8.self, bytes)
    check(UInt128.self, bytes)
    check(Double.self, bytes)
    check(String?.self, bytes)
  }
  return 0
}
