#if os(Linux) || os(macOS)
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A payload that arrives piece by piece. The contents of its long arrays go to where the decoded value will have them.
///
/// It takes memory as bytes arrive, so that a length that a hostile peer made up allocates next to nothing. Where there is no memory
/// for what arrives it keeps nothing, and says so: how much a worker sends must not end its parent. One thread has it at any time.
final class LongPayload: @unchecked Sendable {
  let header: ChannelHeader
  /// Bytes that have arrived.
  private(set) var count = 0
  /// Bytes were dropped, for want of memory.
  private(set) var isExhausted = false
  /// Prefix, layout and message.
  private let start: GrowingBuffer
  private var startByteCount: Int
  private var layout: PayloadLayout?
  private var segments: [Segment] = []
  /// How much of the last of them is there.
  private var filled = 0
  /// It contradicts itself, and is not kept.
  private var isDamaged = false
  private let allocate: GrowingBuffer.Allocate

  private enum Segment {
    case array(UnfilledArray)
    case buffer(GrowingBuffer)
  }

  /// Arrays up to this size are allocated at once: memory that is not memory before it is written to.
  static var mostOnCredit: Int { 64 << 20 }

  init(_ header: ChannelHeader, allocate: @escaping GrowingBuffer.Allocate = { realloc($0, $1) }) {
    self.header = header
    self.allocate = allocate
    start = GrowingBuffer(allocate: allocate)
    startByteCount = header.length
    if header.segments > 0 {
      if let end = PayloadLayout.end(in: header) { startByteCount = end } else { isDamaged = true }
    }
  }

  convenience init(_ header: ChannelHeader, copying bytes: UnsafeRawBufferPointer) {
    self.init(header)
    append(bytes)
  }

  /// Not more than is missing.
  func append(_ bytes: UnsafeRawBufferPointer) {
    count += bytes.count
    var rest = bytes
    while !rest.isEmpty, !isDamaged, !isExhausted {
      let taken = start.count < startByteCount ? appendToStart(rest) : appendToSegment(rest)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
    }
  }

  private func appendToStart(_ bytes: UnsafeRawBufferPointer) -> Int {
    let taken = min(bytes.count, startByteCount - start.count)
    start.append(UnsafeRawBufferPointer(rebasing: bytes.prefix(taken)), expecting: startByteCount)
    if start.isExhausted { return exhausted(taken) }
    if start.count == startByteCount, header.segments > 0, layout == nil {
      layout = PayloadLayout(header, start.bytes)
      if let layout { startByteCount += layout.messageByteCount } else { isDamaged = true }
    }
    return taken
  }

  private func appendToSegment(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let layout else {
      isDamaged = true
      return 0
    }
    if segments.isEmpty || filled == layout.segments[segments.count - 1].byteCount {
      guard segments.count < layout.segments.count else {
        isDamaged = true
        return 0
      }
      begin(layout.segments[segments.count])
    }
    let byteCount = layout.segments[segments.count - 1].byteCount
    let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(byteCount - filled))
    switch segments[segments.count - 1] {
    case .array(let array): memcpy(array.bytes.baseAddress! + filled, piece.baseAddress!, piece.count)
    case .buffer(let buffer):
      buffer.append(piece, expecting: byteCount)
      if buffer.isExhausted { return exhausted(piece.count) }
    }
    filled += piece.count
    return piece.count
  }

  private func begin(_ segment: PayloadLayout.Segment) {
    filled = 0
    if segment.byteCount <= Self.mostOnCredit, hasMemory(for: segment.byteCount),
      let array = UnfilledArray(of: segment.element, byteCount: segment.byteCount)
    {
      segments.append(.array(array))
    } else {
      segments.append(.buffer(GrowingBuffer(allocate: allocate)))
    }
  }

  /// Whether an array of so many bytes can be allocated, which ends the process if it cannot.
  private func hasMemory(for byteCount: Int) -> Bool {
    guard let probe = allocate(nil, byteCount + 64) else { return false }
    free(probe)
    return true
  }

  private func exhausted(_ taken: Int) -> Int {
    isExhausted = true
    segments = []
    return taken
  }

  // MARK: when it is there

  /// Prefix, layout and message; nothing when bytes were dropped.
  var front: UnsafeRawBufferPointer {
    isExhausted || isDamaged ? UnsafeRawBufferPointer(start: nil, count: 0) : start.bytes
  }

  /// Once. Nil for a payload that is not whole.
  func takeSegments() -> [IncomingSegment]? {
    guard count == header.length, segments.count == header.segments else { return nil }
    defer { segments = [] }
    return segments.map { segment in
      switch segment {
      case .array(let array): IncomingSegment(array)
      case .buffer(let buffer): IncomingSegment(buffer.bytes, keptBy: buffer)
      }
    }
  }
}

/// Memory that grows as bytes arrive.
final class GrowingBuffer {
  typealias Allocate = (UnsafeMutableRawPointer?, Int) -> UnsafeMutableRawPointer?

  private(set) var count = 0
  private var capacity = 0
  private var base: UnsafeMutableRawPointer?
  /// Bytes were dropped.
  private(set) var isExhausted = false
  private let allocate: Allocate

  /// `allocate` is `realloc`, except in tests.
  init(allocate: @escaping Allocate) { self.allocate = allocate }

  /// `total` is what the peer says to come, or what is known to.
  func append(_ bytes: UnsafeRawBufferPointer, expecting total: Int) {
    let needed = count + bytes.count
    defer { count = needed }
    if isExhausted { return }
    if needed > capacity, !grow(to: needed, expecting: total) {
      isExhausted = true
      free(base)
      base = nil
      return
    }
    if let source = bytes.baseAddress { memcpy(base! + count, source, bytes.count) }
  }

  private func grow(to needed: Int, expecting total: Int) -> Bool {
    // The first on credit; then at most three times what has come.
    let generous = min(max(total, needed), max(LongPayload.mostOnCredit, 4 * needed))
    for wanted in [generous, needed] {
      if let grown = allocate(base, wanted) {
        base = grown
        capacity = wanted
        return true
      }
    }
    return false
  }

  /// What has arrived; nothing when bytes were dropped.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: isExhausted ? 0 : count) }

  deinit { free(base) }
}
#endif
