import Testing

@testable import ConcurrentFutures

@Suite struct FrameTests {
  private struct Received: Equatable {
    var header: FrameHeader
    var payload: [UInt8]
  }

  private static func frames(_ sizes: [Int]) -> (bytes: [UInt8], frames: [Received]) {
    var buffer = ByteBuffer()
    var frames: [Received] = []
    for (index, size) in sizes.enumerated() {
      let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) }
      var header = FrameHeader(
        kind: FrameKind(rawValue: UInt8(index % 7)), flags: 3, segmentCount: 2, descriptorCount: 1,
        taskID: UInt64(index) << 40)
      header.writeFrame(to: &buffer) { buffer, _ in payload.withUnsafeBytes { buffer.append($0) } }
      header.payloadByteCount = UInt64(size)
      frames.append(Received(header: header, payload: payload))
    }
    return (Array(buffer.bytes), frames)
  }

  /// Feeds `bytes` in pieces of the sizes that `piece` returns.
  private static func read(
    _ bytes: [UInt8], _ reader: inout FrameReader, piece: () -> Int
  ) throws -> [Received] {
    var received: [Received] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let space = reader.space()
      #expect(space.count > 0)
      let count = min(space.count, rest.count, max(1, piece()))
      space.copyBytes(from: rest.prefix(count))
      reader.didReceive(count)
      rest = rest.dropFirst(count)
      while try reader.nextFrame({ header, bytes, payload in
        received.append(Received(header: header, payload: Array(bytes)))
        if let payload { payload.withBytes { #expect($0.elementsEqual(bytes)) } }
      }) {}
    }
    return received
  }

  private static let sizes = [0, 1, 5, 0, 40, 1000, 0, 63, 64, 65, 5000, 17, 100_000, 3, 0]

  @Test func framesArriveWholeHoweverTheyAreCut() throws {
    let (bytes, frames) = Self.frames(Self.sizes)
    for staging in [0, 128, 1000, 65536] {
      for piece in [1, 2, 23, 24, 25, 1000, .max] {
        var reader = FrameReader(stagingByteCount: staging)
        #expect(try Self.read(bytes, &reader) { piece } == frames, "\(staging) \(piece)")
        try reader.finish()
      }
      var generator = SeededGenerator(seed: UInt64(staging))
      for _ in 0..<30 {
        var reader = FrameReader(stagingByteCount: staging)
        #expect(try Self.read(bytes, &reader) { Int.random(in: 1...3000, using: &generator) } == frames)
      }
    }
  }

  @Test func framesThatAreNotTakenAtOnceAreKept() throws {
    let (bytes, frames) = Self.frames([1, 2, 3, 4, 5, 6, 7, 8, 9])
    var reader = FrameReader(stagingByteCount: 96)
    var rest = bytes[...]
    while !rest.isEmpty {
      let space = reader.space()
      let count = min(space.count, rest.count)
      space.copyBytes(from: rest.prefix(count))
      reader.didReceive(count)
      rest = rest.dropFirst(count)
    }
    var received: [Received] = []
    while try reader.nextFrame({
      received.append(Received(header: $0, payload: Array($1))); _ = $2
    }) {}
    #expect(received == frames)
  }

  @Test func aLargePayloadIsReceivedIntoItsFinalBuffer() throws {
    let (bytes, frames) = Self.frames([1 << 20])
    var reader = FrameReader()
    var space = reader.space()
    space.copyBytes(from: bytes[..<1000])
    reader.didReceive(1000)
    #expect(try !reader.nextFrame { _, _, _ in })
    space = reader.space()
    #expect(space.count == (1 << 20) - (1000 - FrameHeader.byteCount))
    space.copyBytes(from: bytes[1000...])
    reader.didReceive(space.count)
    var kept: FramePayload?
    #expect(try reader.nextFrame { _, _, payload in kept = payload })
    #expect(kept?.withBytes { Array($0) } == frames[0].payload)
    try reader.finish()
  }

  @Test func aThrowingHandlerDoesNotLoseItsPlace() throws {
    let (bytes, frames) = Self.frames([5, 6])
    var reader = FrameReader()
    let space = reader.space()
    space.copyBytes(from: bytes)
    reader.didReceive(bytes.count)
    #expect(throws: CancellationError.self) { _ = try reader.nextFrame { _, _, _ in throw CancellationError() } }
    var received: [Received] = []
    while try reader.nextFrame({
      received.append(Received(header: $0, payload: Array($1))); _ = $2
    }) {}
    #expect(received == [frames[1]])
  }

  private func failure(_ bytes: [UInt8], _ limits: FrameReader.Limits = .init()) -> FrameError? {
    var reader = FrameReader(limits: limits)
    var caught: FrameError?
    do {
      _ = try Self.read(bytes, &reader) { .max }
    } catch {
      caught = error as? FrameError
    }
    if caught != nil {
      #expect(reader.space().count == 0)
      #expect(throws: caught!) { try reader.nextFrame { _, _, _ in } }
      #expect(throws: caught!) { try reader.finish() }
    }
    return caught
  }

  @Test func damagedHeadersEndTheStreamWithAReason() throws {
    let (bytes, _) = Self.frames([10])
    #expect(failure(bytes) == nil)
    #expect(failure(Array("Hello, I am not a frame at all".utf8)) == .notAFrame(firstByte: 72))
    var other = bytes
    other[1] = 9
    #expect(failure(other) == .otherVersion(9))
    var long = bytes
    long[23] = 0xFF
    #expect(failure(long) == .payloadTooLarge(0xFF00_0000_0000_000A, limit: 1 << 30))
    #expect(failure(bytes, .init(maximumPayloadByteCount: 9)) == .payloadTooLarge(10, limit: 9))
    #expect(failure(bytes, .init(maximumPayloadByteCount: 10)) == nil)
    #expect(failure(bytes, .init(maximumSegmentCount: 1)) == .tooManySegments(2, limit: 1))
    #expect(failure(bytes, .init(maximumDescriptorCount: 0)) == .tooManyDescriptors(1, limit: 0))
  }

  @Test func aStreamThatEndsWithinAFrameIsTold() throws {
    let (bytes, _) = Self.frames([3, 70_000])
    for count in [27, 28, 40, 51, 52, 1000, 60_000, bytes.count - 1] {
      var reader = FrameReader()
      _ = try Self.read(Array(bytes[..<count]), &reader) { 500 }
      if count == 27 {
        try reader.finish()
      } else {
        #expect(throws: FrameError.self) { try reader.finish() }
      }
    }
  }

  @Test func aPayloadThatCannotBeWrittenLeavesNoBytes() {
    var buffer = ByteBuffer()
    buffer.append(UInt8(1))
    #expect(throws: CancellationError.self) {
      try FrameHeader(kind: FrameKind(rawValue: 1)).writeFrame(to: &buffer) { buffer, _ in
        buffer.append(UInt8(2))
        throw CancellationError()
      }
    }
    #expect(buffer.count == 1)
  }
}
