import Foundation
import Testing

@testable import ConcurrentFutures

private enum Payload: Codable {
  case none
  case text(String)
  indirect case pair(Payload, number: Int?)
}

private struct Everything: Codable {
  var id = 300
  var name = "a name that is longer than thirty-one bytes"
  var numbers = [1.5, 2.5, 3.5]
  var words = ["a", "b"]
  var flags = [true, false]
  var table = ["x": [1, 2], "y": []]
  var payload = Payload.pair(.text("p"), number: -70_000)
  var nothing: Int?
  var vector = SIMD4<Float>(1, 2, 3, 4)
  var data = Data([1, 2, 3, 4])
  var sets: Set<Int8> = [1, -128]
  var date = Date(timeIntervalSinceReferenceDate: 1)
  var huge = Int128.max
}

@Suite struct WireHostileBytesTests {
  /// Decoding may succeed or throw; it must not trap, hang or read beyond the end.
  private func survive(_ bytes: [UInt8]) {
    _ = try? wireValue(Everything.self, bytes)
    _ = try? wireValue([String: [Int]].self, bytes)
    _ = try? wireValue([Payload].self, bytes)
  }

  @Test func everyTruncationIsAnError() throws {
    let bytes = try wireBytes(Everything())
    _ = try wireValue(Everything.self, bytes)
    for count in 0..<bytes.count {
      #expect(throws: DecodingError.self, "\(count)") { try wireValue(Everything.self, Array(bytes[..<count])) }
    }
    #expect(throws: DecodingError.self) { try wireValue(Everything.self, bytes + [0]) }
    for value in [1, 300, 1 << 40] {
      let bytes = try wireBytes(value)
      for count in 0..<bytes.count {
        #expect(throws: DecodingError.self) { try wireValue(Int.self, Array(bytes[..<count])) }
      }
      #expect(throws: DecodingError.self) { try wireValue(Int.self, bytes + [0]) }
    }
  }

  @Test func damagedBytesThrowOrDecode() throws {
    let bytes = try wireBytes(Everything())
    for index in bytes.indices {
      for value in UInt8.min...UInt8.max {
        var damaged = bytes
        damaged[index] = value
        survive(damaged)
      }
    }
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<20_000 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      survive(damaged)
    }
  }

  @Test func randomBytesThrowOrDecode() {
    var generator = SeededGenerator(seed: 6)
    for _ in 0..<50_000 {
      var bytes = (0..<Int.random(in: 0..<64, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if Bool.random(using: &generator) { bytes.insert(WireFormat.plainMessage, at: 0) }
      survive(bytes)
    }
  }

  @Test func claimedLengthsAreNotBelieved() {
    let plain = WireFormat.plainMessage
    let huge: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
    let messages: [[UInt8]] = [
      [plain, Tag.run, ElementCode.double.rawValue] + huge,
      [plain, Tag.run, ElementCode.uint8.rawValue] + huge + [1, 2, 3],
      [plain, Tag.run, ElementCode.custom.rawValue] + huge + [1],
      [plain, Tag.run, ElementCode.custom.rawValue, 0, 1],
      [plain, Tag.run, 0x7E, 1, 0],
      [plain, Tag.segment, ElementCode.double.rawValue, 0] + huge,
      [plain, Tag.string32, 0xFF, 0xFF, 0xFF, 0xFF, 1],
      [plain, Tag.unkeyed32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
      [plain, Tag.unkeyed32, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
      [plain, Tag.unkeyed8, 1, 200, 1],
      [plain, Tag.keyed32, 0xFF, 0xFF, 0xFF, 0xFF],
      [plain, Tag.unkeyed8, 4, 3, Tag.splice, ElementCode.uint8.rawValue, 0, 1],
      [WireFormat.keyedMessage, 0xFF, 0xFF, 0xFF, 0xFF, 1],
      [WireFormat.keyedMessage, 2, 0, 0, 0, 1],
      [WireFormat.keyedMessage, 6, 0, 0, 0, 1] + huge,
      [WireFormat.keyedMessage, 6, 0, 0, 0, 1, 1] + huge,
      [plain, Tag.splice, ElementCode.uint8.rawValue, 1, 1],
      [],
      [plain],
      [0],
      [3, 1],
    ]
    for bytes in messages {
      #expect(throws: DecodingError.self, "\(bytes)") { try wireValue([Double].self, bytes) }
      #expect(throws: DecodingError.self, "\(bytes)") { try wireValue(Data.self, bytes) }
      #expect(throws: DecodingError.self, "\(bytes)") { try wireValue([String: [UInt8]].self, bytes) }
      #expect(throws: DecodingError.self, "\(bytes)") { try wireValue(String.self, bytes) }
    }
  }

  @Test func badTextIsAnError() throws {
    for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF8, 0x88, 0x80, 0x80], [0xE2, 0x82]] {
      let message = [WireFormat.plainMessage, Tag.firstString + UInt8(bytes.count)] + bytes
      let error = #expect(throws: DecodingError.self) { try wireValue(String.self, message) }
      #expect(place(of: error!).description == "The message has a string that is not valid UTF-8.")
    }
    // As a key.
    let keyed: [UInt8] = [WireFormat.keyedMessage, 9, 0, 0, 0, Tag.keyed8, 2, 0, 5, 1, 2, 0xFF]
    #expect(throws: DecodingError.self) {
      let value = try wireValue([String: Int].self, keyed)
      #expect(value.isEmpty)
      _ = try wireValue(Everything.self, keyed)
    }
  }

  @Test func duplicateAndUnknownKeysAreErrors() throws {
    struct Two: Codable { var a: Int, b: Int }
    let table: [UInt8] = [2, 2, 0x61, 2, 0x62]
    func message(_ body: [UInt8]) -> [UInt8] {
      let offset = UInt8(7 + body.count)
      return [WireFormat.keyedMessage, offset, 0, 0, 0, Tag.keyed8, UInt8(body.count)] + body + table
    }
    #expect(try wireValue(Two.self, message([0, 5, 1, 6])).b == 6)
    #expect(try wireValue(Two.self, message([1, 6, 0, 5])).b == 6)
    #expect(throws: DecodingError.self) { try wireValue(Two.self, message([0, 5, 0, 7, 1, 6])) }
    #expect(throws: DecodingError.self) { try wireValue(Two.self, message([0, 5, 9, 7, 1, 6])) }
    #expect(throws: DecodingError.self) { try wireValue(Two.self, message([0, 5, 0, 7])) }
  }

  @Test func keysThatALargeContainerLacksAreMissing() throws {
    struct Optionals: Codable { var a, b, c, d, e, f, g, h: Int? }
    let bytes = try wireBytes(Dictionary(uniqueKeysWithValues: (0..<20_000).map { ("key\($0)", $0) }))
    let value = try wireValue(Optionals.self, bytes)
    #expect([value.a, value.b, value.c, value.d, value.e, value.f, value.g, value.h].allSatisfy { $0 == nil })
    #expect(throws: DecodingError.self) { try wireValue([String: [Int]].self, bytes) }
  }
}
