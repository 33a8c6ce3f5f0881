#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A payload that a `FrameReader` received into memory of its own.
final class FramePayload: @unchecked Sendable {
  private let buffer: ByteBuffer

  fileprivate init(_ buffer: consuming ByteBuffer) {
    self.buffer = buffer
  }

  var byteCount: Int { buffer.count }

  /// Calls `body` with the payload.
  func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(buffer.bytes)
  }
}

/// Cuts a stream of bytes into frames.
///
/// It performs no input itself. The owner of the stream asks where to put bytes, says how many it put there, and takes
/// the frames that are complete:
///
///     let space = reader.space()
///     let count = read(descriptor, space.baseAddress, space.count)
///     reader.didReceive(count)
///     while try reader.nextFrame({ header, bytes, payload in ... }) {}
///
/// Many small frames arrive with one read and are handed out where they lie. A large payload gets a buffer of its exact
/// size, and the rest of it is received directly into that.
struct FrameReader: ~Copyable {
  /// Bounds that a frame's header must keep before anything is allocated for it.
  struct Limits: Sendable {
    var maximumPayloadByteCount = 1 << 30
    var maximumSegmentCount = 1024
    var maximumDescriptorCount = 64
  }

  private enum State {
    /// Between frames, or with a small one incomplete in `staging`.
    case staging
    /// A payload that is received into `large`.
    case payload(FrameHeader, byteCount: Int)
    case failed(FrameError)
  }

  private let limits: Limits
  private var state = State.staging
  private var staging: ByteBuffer
  /// How much of `staging` was handed out.
  private var consumed = 0
  private var large = ByteBuffer()
  private let largeByteCount: Int

  /// Makes a reader that reads up to `stagingByteCount` bytes at once.
  init(limits: Limits = Limits(), stagingByteCount: Int = 64 << 10) {
    self.limits = limits
    let byteCount = max(stagingByteCount, 4 * FrameHeader.byteCount)
    staging = ByteBuffer(capacity: byteCount)
    largeByteCount = byteCount / 4
  }

  // MARK: - Receiving

  /// Where the next bytes of the stream go. Never empty, unless the stream has failed.
  ///
  /// Valid until the next call of a mutating method. Take all complete frames first.
  mutating func space() -> UnsafeMutableRawBufferPointer {
    switch state {
    case .failed:
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    case .payload(_, let byteCount):
      return UnsafeMutableRawBufferPointer(start: large.base + large.count, count: byteCount - large.count)
    case .staging:
      compact()
      if staging.count == staging.capacity {
        // Only when the owner did not take the frames that are here.
        staging.reserve(staging.capacity)
      }
      return UnsafeMutableRawBufferPointer(
        start: staging.base + staging.count, count: staging.capacity - staging.count)
    }
  }

  /// Counts bytes that were put at the beginning of `space()`.
  mutating func didReceive(_ byteCount: Int) {
    switch state {
    case .failed: break
    case .payload(_, let expected):
      precondition(byteCount >= 0 && byteCount <= expected - large.count)
      large.didWrite(byteCount)
    case .staging:
      precondition(byteCount >= 0 && byteCount <= staging.capacity - staging.count)
      staging.didWrite(byteCount)
    }
  }

  /// Moves what is left of an incomplete frame to the front.
  private mutating func compact() {
    guard consumed > 0 else { return }
    let rest = staging.count - consumed
    if rest > 0 { memmove(staging.base, staging.base + consumed, rest) }
    staging.truncate(to: rest)
    consumed = 0
  }

  // MARK: - Frames

  /// Hands the next complete frame to `body`, and returns false if there is none.
  ///
  /// The bytes are valid for the time of the call. If `payload` is not nil, they are its bytes, and keeping it keeps
  /// them without a copy. After a `FrameError` every further call throws it again. When `body` throws, the frame counts
  /// as taken.
  mutating func nextFrame(
    _ body: (FrameHeader, _ bytes: UnsafeRawBufferPointer, _ payload: FramePayload?) throws -> Void
  ) throws -> Bool {
    switch state {
    case .failed(let error): throw error
    case .payload(let header, let byteCount):
      guard large.count == byteCount else { return false }
      state = .staging
      var buffer = ByteBuffer()
      swap(&buffer, &large)
      let payload = FramePayload(buffer)
      try payload.withBytes { try body(header, $0, payload) }
      return true
    case .staging: return try nextStagedFrame(body)
    }
  }

  private mutating func nextStagedFrame(
    _ body: (FrameHeader, UnsafeRawBufferPointer, FramePayload?) throws -> Void
  ) throws -> Bool {
    let available = UnsafeRawBufferPointer(rebasing: staging.bytes[consumed...])
    guard available.count >= FrameHeader.byteCount else { return false }
    let header: FrameHeader
    do throws(FrameError) {
      header = try FrameHeader.read(available)
      try check(header)
    } catch {
      state = .failed(error)
      throw error
    }
    let byteCount = Int(header.payloadByteCount)
    let received = UnsafeRawBufferPointer(rebasing: available[FrameHeader.byteCount...])
    if received.count >= byteCount {
      consumed += FrameHeader.byteCount + byteCount
      try body(header, UnsafeRawBufferPointer(rebasing: received[..<byteCount]), nil)
      return true
    }
    if FrameHeader.byteCount + byteCount > largeByteCount {
      large = ByteBuffer(capacity: byteCount)
      large.append(received)
      staging.truncate(to: 0)
      consumed = 0
      state = .payload(header, byteCount: byteCount)
    }
    return false
  }

  private func check(_ header: FrameHeader) throws(FrameError) {
    guard header.payloadByteCount <= UInt64(limits.maximumPayloadByteCount) else {
      throw .payloadTooLarge(header.payloadByteCount, limit: limits.maximumPayloadByteCount)
    }
    guard Int(header.segmentCount) <= limits.maximumSegmentCount else {
      throw .tooManySegments(Int(header.segmentCount), limit: limits.maximumSegmentCount)
    }
    guard Int(header.descriptorCount) <= limits.maximumDescriptorCount else {
      throw .tooManyDescriptors(Int(header.descriptorCount), limit: limits.maximumDescriptorCount)
    }
  }

  /// Throws if the stream must not end here, because a frame is incomplete or was damaged.
  ///
  /// All complete frames must have been taken.
  func finish() throws(FrameError) {
    switch state {
    case .failed(let error): throw error
    case .payload(_, let byteCount): throw .endedWithinFrame(received: large.count, expected: byteCount)
    case .staging:
      let rest = UnsafeRawBufferPointer(rebasing: staging.bytes[consumed...])
      guard rest.count > 0 else { return }
      guard rest.count >= FrameHeader.byteCount, let header = try? FrameHeader.read(rest) else {
        throw .endedWithinFrame(received: rest.count, expected: FrameHeader.byteCount)
      }
      let expected = FrameHeader.byteCount + Int(clamping: header.payloadByteCount)
      throw .endedWithinFrame(received: rest.count, expected: expected)
    }
  }
}
