#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

private struct Sample: RawBytesCodable, Equatable {
  var time: Double
  var channel: Int32
}

/// Long arrays of every kind, in an order that is not that of their decoding.
private struct Arrays: Codable, Equatable {
  var doubles = (0..<9000).map(Double.init)
  var name = "name"
  var samples = (0..<4000).map { Sample(time: Double($0), channel: 7) }
  var flags = (0..<20_000).map { $0 % 3 == 0 }
  var bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
  var vectors = (0..<3000).map { SIMD2<Float>(Float($0), 1) }
  var short = [1, 2, 3]
  var contiguous = ContiguousArray(0..<5000)
  var wide = (0..<3000).map { Int128($0) << 70 }
  var words = (0..<5000).map { UInt16($0) }

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    words = try container.decode([UInt16].self, forKey: .words)
    wide = try container.decode([Int128].self, forKey: .wide)
    // Twice, and as something else before.
    if (try? container.decode([Int64].self, forKey: .contiguous)) != Array(0..<5000) { return }
    contiguous = try container.decode(ContiguousArray<Int>.self, forKey: .contiguous)
    short = try container.decode([Int].self, forKey: .short)
    vectors = try container.decode([SIMD2<Float>].self, forKey: .vectors)
    bytes = try container.decode([UInt8].self, forKey: .bytes)
    _ = try container.decode([UInt8].self, forKey: .bytes)
    flags = try container.decode([Bool].self, forKey: .flags)
    samples = try container.decode([Sample].self, forKey: .samples)
    name = try container.decode(String.self, forKey: .name)
    doubles = try container.decode([Double].self, forKey: .doubles)
  }
}

/// Payloads that are longer than a few bytes, as they arrive.
@Suite struct LongPayloadTests {
  private func header(_ kind: ChannelHeader.Kind, length: Int) -> ChannelHeader {
    var header = ChannelHeader(kind, slot: 3, task: 7)
    header.length = length
    return header
  }

  /// A frame, as its writer puts it into a ring.
  private func payload<T: Encodable>(_ value: T) throws -> (header: ChannelHeader, bytes: [UInt8]) {
    let frame = OutgoingFrame(ChannelHeader(.returned), message: try PayloadCoder.shared.encode(value))
    return (frame.header, frame.payloadBytes)
  }

  private func arriving(_ header: ChannelHeader, _ bytes: [UInt8], in pieces: () -> Int) -> LongPayload {
    let payload = LongPayload(header)
    bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = rest.prefix(pieces())
        payload.append(UnsafeRawBufferPointer(rebasing: piece))
        rest = rest.dropFirst(piece.count)
      }
    }
    return payload
  }

  @Test(arguments: [1, 7, 1000, 65_536, 10_000_000])
  func arraysArriveInPieces(_ size: Int) throws {
    let value = Arrays()
    let (header, bytes) = try payload(value)
    #expect(header.segments == 8)
    let decoded = try ReceivedFrame(arriving(header, bytes) { size }).result(as: Arrays.self).get()
    #expect(decoded == value)
    // And where they lie in one piece, as in a ring.
    let inPlace = try bytes.withUnsafeBytes { bytes in
      let payload = try #require(IncomingPayload(header, bytes, attachments: nil))
      return try PayloadCoder.shared.decode(Arrays.self, from: payload)
    }
    #expect(inPlace == value)
  }

  @Test func theArrayThatIsFilledIsTheOneThatIsDecodedAndNobodyElseHasIt() throws {
    let (header, bytes) = try payload([Array(repeating: 1.5, count: 10_000)])
    let payload = arriving(header, bytes) { 4096 }
    let incoming = try #require(IncomingPayload(payload, attachments: nil))
    var decoded = try PayloadCoder.shared.decode([[Double]].self, from: incoming)[0]
    let before = decoded.withUnsafeBytes { $0.baseAddress }
    decoded[3] = 2
    let after = decoded.withUnsafeBytes { $0.baseAddress }
    #expect(before == after, "it was copied before it was changed")
    let empty = incoming.takeSegments()
    #expect(empty.isEmpty)
  }

  @Test func payloadsAreDamagedInManyWays() throws {
    let (header, bytes) = try payload(Arrays())
    var random = SeededGenerator(seed: 5)
    for round in 0..<300 {
      var (header, bytes) = (header, bytes)
      switch round % 3 {
      case 0:
        // Into the layout and the message.
        for _ in 0..<3 { bytes[Int.random(in: 0..<600, using: &random)] = UInt8.random(in: 0...255, using: &random) }
      case 1: header.segments = Int.random(in: 0...40, using: &random)
      default: header.prefix = Int.random(in: 0...bytes.count, using: &random)
      }
      let frame = ReceivedFrame(arriving(header, bytes) { Int.random(in: 1...50_000, using: &random) })
      let piecewise = Result { try frame.result(as: Arrays.self).get() }
      let whole = bytes.withUnsafeBytes { bytes in
        IncomingPayload(header, bytes, attachments: nil).flatMap {
          try? PayloadCoder.shared.decode(Arrays.self, from: $0)
        }
      }
      let isSame = (try? piecewise.get()) == whole
      #expect(isSame, "round \(round)")
    }
  }

  @Test func headersAndPayloadsThatContradictEachOtherAreRefused() {
    let bytes = [UInt8](repeating: 0xFF, count: 64)
    bytes.withUnsafeBytes { bytes in
      for (length, prefix, segments) in [
        (64, 65, 0), (64, Int(UInt32.max), 0), (63, 0, 0), (64, 0, 1), (64, 0, Int(UInt32.max)), (64, 60, 1),
      ] {
        var header = header(.returned, length: length)
        header.prefix = prefix
        header.segments = segments
        #expect(IncomingPayload(header, bytes, attachments: nil) == nil, "\(length) \(prefix) \(segments)")
      }
    }
  }

  /// A payload of nothing but empty segments would cost a multiple of its size.
  @Test func moreSegmentsThanThePayloadHasRoomForAreRefused() {
    let bytes = [UInt8](repeating: 0, count: 64 * 1024)
    bytes.withUnsafeBytes { bytes in
      var header = header(.returned, length: bytes.count)
      header.segments = 4000
      #expect(IncomingPayload(header, bytes, attachments: nil) == nil)
      header.segments = 8
      #expect(IncomingPayload(header, bytes, attachments: nil) == nil, "they do not make up the payload")
    }
    var layout = ReferenceWriter()
    for number in [64 * 1024 - 8 * 8 - 7 * 8192] + Array(repeating: 8192 << 8, count: 7) { layout.write(number) }
    let whole = layout.bytes + bytes.dropFirst(layout.bytes.count)
    whole.withUnsafeBytes { bytes in
      var header = header(.returned, length: bytes.count)
      header.segments = 7
      let payload = IncomingPayload(header, bytes, attachments: nil)
      #expect(payload?.takeSegments().map(\.bytes.count) == Array(repeating: 8192, count: 7))
    }
  }

  @Test func payloadsThatThereIsNoMemoryForFailTheirTask() {
    let payload = LongPayload(header(.returned, length: 100_000)) { base, count in
      count > 10_000 ? nil : realloc(base, count)
    }
    let piece = [UInt8](repeating: 1, count: 4000)
    piece.withUnsafeBytes { piece in
      payload.append(piece)
      #expect(!payload.isExhausted, "less than was announced, but enough for what has come")
      for _ in 0..<24 { payload.append(piece) }
    }
    #expect(payload.isExhausted)
    #expect(payload.count == 100_000)
    #expect(payload.front.isEmpty)
    let frame = ReceivedFrame(payload)
    let error = #expect(throws: TaskEncodingError.self) { try frame.result(as: [UInt8].self).get() }
    #expect(error?.subject == .result)
    #expect(error?.reason.contains("no memory for the 100000 bytes") == true)
  }

  @Test func arraysThatThereIsNoMemoryForFailTheirTask() throws {
    let (header, bytes) = try payload([Array(repeating: 1.5, count: 10_000), Array(repeating: 1.5, count: 20_000)])
    let payload = LongPayload(header) { base, count in count > 100_000 ? nil : realloc(base, count) }
    bytes.withUnsafeBytes { bytes in
      payload.append(UnsafeRawBufferPointer(rebasing: bytes[..<100_000]))
      #expect(!payload.isExhausted)
      payload.append(UnsafeRawBufferPointer(rebasing: bytes[100_000...]))
    }
    #expect(payload.isExhausted && payload.count == bytes.count)
    let error = #expect(throws: TaskEncodingError.self) { try ReceivedFrame(payload).result(as: [[Double]].self).get() }
    #expect(error?.reason.contains("no memory") == true)
  }

  /// There is memory for the bytes, and not for the array and its header.
  @Test func arraysThatDoNotFitArriveInABuffer() throws {
    let value = [Array(repeating: 1.5, count: 10_000), Array(repeating: 2.5, count: 20_000)]
    let (header, bytes) = try payload(value)
    let payload = LongPayload(header) { base, count in count > 160_032 ? nil : realloc(base, count) }
    bytes.withUnsafeBytes { payload.append($0) }
    #expect(!payload.isExhausted)
    try #expect(ReceivedFrame(payload).result(as: [[Double]].self).get() == value)
  }

  /// Bytes that are received as something smaller than what they are: more memory than the machine has is not reserved for that.
  @Test func whatTheLayoutSaysOfElementsIsOnlyAHint() throws {
    let value = [Wide](repeating: Wide(numbers: SIMD64(repeating: 3)), count: 128 * 1024)
    var (header, bytes) = try payload(value)
    try #require(header.segments == 1)
    bytes[header.prefix + 8] = ElementCode.uint8.rawValue
    let decoded = try ReceivedFrame(arriving(header, bytes) { 1 << 20 }).result(as: [Wide].self).get()
    #expect(decoded.count == value.count && decoded.last?.numbers == value.last?.numbers)
    // Int and Int64 are the same bytes.
    let wide = (0..<5000).map { Int64($0) << 40 }
    (header, bytes) = try payload(wide)
    try #expect(ReceivedFrame(arriving(header, bytes) { 4096 }).result(as: [Int64].self).get() == wide)
  }
}

private struct Wide: RawBytesCodable {
  var numbers: SIMD64<Double>
}

extension OutgoingFrame {
  /// All that follows the header.
  var payloadBytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: header.length) { bytes, count in
      copy(from: 0, count: header.length, to: UnsafeMutableRawPointer(bytes.baseAddress!))
      count = header.length
    }
  }
}
#endif
