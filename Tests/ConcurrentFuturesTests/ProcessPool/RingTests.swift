#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// A channel whose two sides are both here.
final class Channel: Sendable {
  private let object: SharedMemory
  let memory: ChannelMemory
  var control: RingControl { memory.toParentControl }

  init() throws {
    object = try SharedMemory(size: ChannelMemory.totalSize)
    memory = try #require(ChannelMemory(descriptor: object.descriptor))
  }

  deinit { memory.unmap() }

  func reader() -> RingReader { RingReader(bytes: memory.toParent, control: control) }
  func writer() -> RingWriter { RingWriter(bytes: memory.toParent, control: control) }
}

/// What a reader and a writer make of a ring whose other side writes anything into it.
@Suite struct RingTests {
  private let size = UInt64(ChannelMemory.ringSize)

  private func header(_ kind: ChannelHeader.Kind, length: Int) -> ChannelHeader {
    var header = ChannelHeader(kind, slot: 3, task: 7)
    header.length = length
    return header
  }

  @Test(arguments: [1 << 63, .max, UInt64(ChannelMemory.ringSize) + 1, 31, 8])
  func positionsThatCannotBeAreAViolation(_ head: UInt64) throws {
    let channel = try Channel()
    var reader = channel.reader()
    channel.control.head.pointee = head
    #expect(throws: ChannelViolation.self) { _ = try reader.next() }
  }

  @Test func positionsThatGoBackwardsAreAViolation() throws {
    let channel = try Channel()
    var reader = channel.reader()
    for _ in 0..<2 { header(.leaving, length: 0).store(to: channel.memory.toParent) }
    channel.control.head.pointee = 64
    guard case .inPlace(let first, _) = try reader.next() else {
      Issue.record("no frame")
      return
    }
    reader.consume(first.paddedSize)
    channel.control.head.pointee = 40
    _ = try? reader.next()
    channel.control.head.pointee = 24
    #expect(throws: ChannelViolation.self) {
      while true { if case .inPlace(let next, _) = try reader.next() { reader.consume(next.paddedSize) } }
    }
  }

  @Test func writersRefuseAConsumerThatIsAheadOfThem() throws {
    let channel = try Channel()
    var writer = channel.writer()
    writer.publish(64)
    for tail in [65, 1 << 40, UInt64.max] {
      channel.control.tail.pointee = tail
      #expect(throws: ChannelViolation.self) { _ = try writer.room(for: Int(size)) }
    }
    channel.control.tail.pointee = 64
    #expect(try writer.room(for: Int(size)) == Int(size))
    channel.control.tail.pointee = 0
    #expect(throws: ChannelViolation.self, "it went backwards") {
      writer.publish(64)
      _ = try writer.room(for: Int(size))
    }
  }

  /// Half a frame must not keep its reader looking: nobody else would be heard.
  @Test func halfAFrameIsNothingToReadUntilMoreComes() throws {
    let channel = try Channel()
    var reader = channel.reader()
    header(.returned, length: 100).store(to: channel.memory.toParent)
    channel.control.head.pointee = 32
    #expect(!reader.isEmpty)
    guard case .none = try reader.next() else {
      Issue.record("half a frame was taken for a whole one")
      return
    }
    #expect(reader.isEmpty)
    channel.control.head.pointee = 40
    #expect(!reader.isEmpty)
    _ = try reader.next()
    #expect(reader.isEmpty)
    channel.control.head.pointee = 32 + 104
    #expect(!reader.isEmpty)
    guard case .inPlace(let whole, let bytes) = try reader.next() else {
      Issue.record("the frame did not come")
      return
    }
    #expect(bytes.count == 100)
    reader.consume(whole.paddedSize)
    #expect(reader.isEmpty)
  }

  @Test func longFramesComeInPortions() throws {
    let channel = try Channel()
    var reader = channel.reader()
    // As much as can be announced, and hardly anything sent.
    header(.returned, length: Int(UInt32.max)).store(to: channel.memory.toParent)
    channel.control.head.pointee = 32
    for round in 1...20 {
      guard case .none = try reader.next() else {
        Issue.record("a frame of which the most is missing")
        return
      }
      #expect(reader.isEmpty)
      channel.control.head.pointee = 32 + UInt64(round) * size / 4
      #expect(!reader.isEmpty)
    }
  }

  @Test func aSealedRingIsReadToItsEndAndNoFurther() throws {
    let channel = try Channel()
    var reader = channel.reader()
    for place in 0..<3 { header(.leaving, length: 0).store(to: channel.memory.toParent + 32 * place) }
    channel.control.head.pointee = 64
    try reader.seal()
    channel.control.head.pointee = 96
    for _ in 0..<2 {
      guard case .inPlace(let frame, _) = try reader.next() else {
        Issue.record("what was there before the end is missing")
        return
      }
      reader.consume(frame.paddedSize)
    }
    #expect(reader.isEmpty)
    guard case .none = try reader.next() else {
      Issue.record("it reads on")
      return
    }
  }

  @Test func halfAFrameInASealedRingIsItsEnd() throws {
    let channel = try Channel()
    var reader = channel.reader()
    header(.returned, length: 100).store(to: channel.memory.toParent)
    channel.control.head.pointee = 64
    try reader.seal()
    guard case .none = try reader.next() else {
      Issue.record("half a frame was taken for a whole one")
      return
    }
    #expect(reader.isEmpty)
  }

  /// Random bytes and positions, some of them nearly right: every call returns, and never more than was published.
  @Test(arguments: 0..<40)
  func anyBytesAreFramesOrAViolation(_ seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let channel = try Channel()
    for offset in stride(from: 0, to: Int(size), by: 8) {
      channel.memory.toParent.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
    }
    var reader = channel.reader()
    var head: UInt64 = 0
    do {
      for _ in 0..<500 {
        let plausible = ChannelHeader(
          [.hello, .started, .returned, .threw, .refused, .run].randomElement(using: &random)!,
          slot: Int.random(in: 0..<4096, using: &random), task: random.next())
        var header = plausible
        header.length = Int(random.next() >> UInt64.random(in: 32...63, using: &random))
        header.segments = Int.random(in: 0...5, using: &random)
        header.prefix = Int.random(in: 0...64, using: &random)
        let padded = UInt64(header.paddedSize)
        header.store(to: channel.memory.toParent + Int(head % size))
        head += Bool.random(using: &random) ? min(padded, size) : random.next() % (size / 8) & ~7
        channel.control.head.pointee = head
        for _ in 0..<8 {
          guard try take(&reader) else { break }
        }
      }
    } catch is ChannelViolation {}
  }

  private func take(_ reader: inout RingReader) throws -> Bool {
    switch try reader.next() {
    case .none: return false
    case .inPlace(let header, let bytes):
      #expect(bytes.count == header.length && bytes.count <= ChannelMemory.ringSize / 2)
      _ = ReceivedFrame(header, copying: bytes).result(as: [String: [Int]].self)
      reader.consume(header.paddedSize)
    case .moved(let payload):
      #expect(payload.count == payload.header.length)
      _ = ReceivedFrame(payload).result(as: [Double].self)
    }
    return true
  }
}
#endif
