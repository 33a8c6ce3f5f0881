import Foundation
import Testing

@testable import ConcurrentFutures

private struct Sample: RawBytesCodable, Equatable {
  var time: Double
  var value: Float
  var channel: Int16

  /// Never used within an array.
  static let marker = "on its own"

  init(time: Double, value: Float, channel: Int16) {
    self.time = time
    self.value = value
    self.channel = channel
  }

  init(from decoder: any Decoder) throws {
    #expect(try decoder.singleValueContainer().decode(String.self) == Sample.marker)
    self.init(time: 0, value: 0, channel: 0)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Sample.marker)
  }
}

/// Trivial, but with a hand-written conformance that must run.
private struct Celsius: Codable, Equatable {
  var degrees: Double

  init(degrees: Double) { self.degrees = degrees }
  init(from decoder: any Decoder) throws {
    degrees = try decoder.singleValueContainer().decode(Double.self) - 273.15
  }
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(degrees + 273.15)
  }
}

private enum Level: Int, Codable { case low = 1, high = 2 }

@Suite struct WireArrayTests {
  @Test func arraysOfTrivialElementsAreCopiedWhole() throws {
    func check<E: Codable & Equatable>(_ elements: [E], overhead: Int = 8) throws {
      for array in [elements, Array(elements.prefix(1)), []] {
        try expectRoundTrip(array)
        try expectRoundTrip(ContiguousArray(array))
        try expectRoundTrip(["k": [array, array]])
        let size = array.count * MemoryLayout<E>.stride
        #expect(try (size..<size + overhead + 8).contains(wireBytes(array).count))
      }
      try expectRoundTrip(elements.map(Optional.some))
    }
    try check([1, -2, Int.max, .min])
    try check([1, 2, UInt8.max])
    try check([1, 2, Int8.min])
    try check([1, 2, Int16.min])
    try check([1, 2, UInt16.max])
    try check([1, 2, Int32.min])
    try check([1, 2, UInt32.max])
    try check([1, 2, Int64.min])
    try check([1, 2, UInt64.max])
    try check([1, 2, UInt.max])
    try check([1, 2, Int128.min])
    try check([1, 2, UInt128.max])
    try check([1.5, -0.0, Double.infinity])
    try check([1.5, -0.0, Float.infinity])
    try check([true, false, true])
    try check([SIMD2<Double>(1, 2), SIMD2(3, 4)])
    try check([SIMD3<Float>(1, 2, 3), SIMD3(3, 4, 5)])
    try check([SIMD4<Float>(1, 2, 3, 4), SIMD4(3, 4, 5, 6)])
    try check([SIMD8<UInt8>(repeating: 9), SIMD8(repeating: 255)])
    try check([SIMD64<Int64>(repeating: 9), SIMD64(repeating: -1)])
  }

  @Test func vectorsSurviveOnTheirOwn() throws {
    try expectRoundTrip(SIMD2<Double>(1, 2))
    try expectRoundTrip(SIMD3<Int32>(1, 2, -3))
    try expectRoundTrip(SIMD32<UInt8>(repeating: 7))
    try expectRoundTrip(Set([SIMD4<Float>(1, 2, 3, 4), SIMD4(5, 6, 7, 8)]))
    try expectRoundTrip(["v": Optional(SIMD16<Float>(repeating: 1.5))])
  }

  @Test func structsThatOptInTravelAsBytesWithinArraysOnly() throws {
    let samples = (0..<100).map { Sample(time: Double($0), value: 0.5, channel: Int16($0)) }
    #expect(try roundTrip(samples) == samples)
    #expect(try roundTrip(ContiguousArray(samples)) == ContiguousArray(samples))
    #expect(try roundTrip(["s": samples])["s"] == samples)
    #expect(try wireBytes(samples).count < 100 * MemoryLayout<Sample>.stride + 20)
    #expect(try roundTrip(samples[5]) == Sample(time: 0, value: 0, channel: 0))
  }

  @Test func trivialStructsWithTheirOwnEncodingUseIt() throws {
    let values = [Celsius(degrees: 0), Celsius(degrees: 20)]
    let kelvin = try wireValue([Double].self, wireBytes(values))
    #expect(kelvin == [273.15, 293.15])
    #expect(try wireValue([Celsius].self, wireBytes([273.15]))[0].degrees == 0)
  }

  @Test func arraysAreReadAsOtherTypesThatFit() throws {
    #expect(try wireValue([Int8].self, wireBytes([1, 2, -3])) == [1, 2, -3])
    #expect(try wireValue([Double].self, wireBytes([Float(1.5)])) == [1.5])
    #expect(try wireValue([Double].self, wireBytes([3])) == [3])
    #expect(try wireValue([Level].self, wireBytes([1, 2])) == [.low, .high])
    #expect(try wireValue(Set<Int>.self, wireBytes([1, 2])) == [1, 2])
    #expect(try wireValue([SIMD2<Float>].self, wireBytes(Set([SIMD2<Float>(1, 2)]))) == [SIMD2(1, 2)])
    #expect(try wireValue([Int].self, wireBytes(Set([1, 2]))).sorted() == [1, 2])
    #expect(try wireValue([Int8]?.self, wireBytes([1, 2])) == [1, 2])
    #expect(throws: DecodingError.self) { try wireValue([Int8].self, wireBytes([1, 300])) }
    #expect(throws: DecodingError.self) { try wireValue([Float].self, wireBytes([0.1])) }
    #expect(throws: DecodingError.self) { try wireValue([String].self, wireBytes([1])) }
    #expect(throws: DecodingError.self) { try wireValue([[Int]].self, wireBytes([1])) }
    #expect(throws: DecodingError.self) { try wireValue([SIMD2<Float>].self, wireBytes([SIMD4<Float>()])) }
    #expect(throws: DecodingError.self) { try wireValue(SIMD2<Float>.self, wireBytes([Float(1)])) }
  }

  @Test func largeArraysBecomeSegmentsWithoutACopy() throws {
    struct Argument: Codable, Equatable {
      var name = "n"
      var large = (0..<1000).map(Double.init)
      var small = [1, 2, 3]
      var bytes = ContiguousArray(repeating: UInt8(7), count: 5000)
      var more = Array(500..<1500)
      var flags = Array(repeating: true, count: 5000)
    }
    let argument = Argument()
    let message = try WireEncoder(segmentThreshold: 4000).encode(argument)
    #expect(message.byteCount < 200)
    #expect(message.segments.map(\.bytes.count) == [8000, 5000, 8000, 5000])
    argument.large.withUnsafeBytes { #expect($0.baseAddress == message.segments[0].bytes.baseAddress) }
    let decoder = WireDecoder()
    let segments = message.segments.map { IncomingSegment($0.bytes) }
    let decoded = try message.withBytes { try decoder.decode(Argument.self, from: $0, segments: segments) }
    #expect(decoded == argument)

    // As elements of another type, through the ordinary container.
    let array = Array(0..<1000)
    let plain = try WireEncoder(segmentThreshold: 1).encode(array)
    let floats = try plain.withBytes {
      try decoder.decode([Float].self, from: $0, segments: plain.segments.map { IncomingSegment($0.bytes) })
    }
    #expect(floats == array.map(Float.init))

    for damaged in [[], Array(segments.dropLast()), segments.reversed(), segments + segments] {
      if damaged.count == 8 { continue }
      message.withBytes { bytes in
        _ = #expect(throws: DecodingError.self) {
          try decoder.decode(Argument.self, from: bytes, segments: damaged)
        }
      }
    }
  }

  @Test func segmentsKeepTheirArraysAlive() throws {
    var message: EncodedMessage?
    do {
      let array = (0..<100_000).map { $0 }
      message = try WireEncoder(segmentThreshold: 1).encode(["a": array])
    }
    let kept = try #require(message)
    let sum = kept.segments[0].bytes.bindMemory(to: Int.self).reduce(0, +)
    #expect(sum == 99_999 * 50_000)
  }

  @Test func aSegmentIsUsedOnce() throws {
    let array = [1, 2, 3]
    let message = try WireEncoder(segmentThreshold: 1).encode([array, array])
    var bytes = message.withBytes { Array($0) }
    let places = bytes.indices.filter { bytes[$0] == Tag.segment }
    #expect(places.count == 2)
    bytes[places[1] + 2] = 0
    #expect(throws: DecodingError.self) {
      try wireValue([[Int]].self, bytes, segments: message.segments.map { IncomingSegment($0.bytes) })
    }
    #expect(throws: DecodingError.self) {
      try wireValue([Set<Int>].self, bytes, segments: message.segments.map { IncomingSegment($0.bytes) })
    }
  }

  @Test func boolsFromOutsideAreChecked() throws {
    var bytes = try wireBytes([true, false])
    bytes[bytes.count - 1] = 2
    #expect(throws: DecodingError.self) { try wireValue([Bool].self, bytes) }
    #expect(throws: DecodingError.self) { try wireValue([Bool?].self, bytes) }
    bytes[bytes.count - 1] = 1
    #expect(try wireValue([Bool].self, bytes) == [true, true])
  }
}
