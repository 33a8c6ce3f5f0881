/// What a frame is about; the two ends agree on the meaning of the numbers.
struct FrameKind: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// The fixed head of every frame.
///
///     0  magic 0xCF     1  version    2  kind             3  flags
///     4  segmentCount:u16             6  descriptorCount:u16
///     8  taskID:u64
///     16 payloadByteCount:u64
///
/// Little-endian. The task's identity is here, outside the payload, so that a payload which cannot be decoded is an
/// error of that task alone.
struct FrameHeader: Equatable, Sendable {
  static let byteCount = 24
  static let magic: UInt8 = 0xCF
  static let version: UInt8 = 1

  var kind: FrameKind
  /// For the two ends to define.
  var flags: UInt8 = 0
  /// How many of the message's segments travel elsewhere, or behind the message within the payload.
  var segmentCount: UInt16 = 0
  /// How many descriptors are sent together with the bytes of this frame.
  var descriptorCount: UInt16 = 0
  var taskID: UInt64 = 0
  var payloadByteCount: UInt64 = 0

  /// Appends the header's bytes.
  func write(to buffer: inout ByteBuffer) {
    buffer.reserve(FrameHeader.byteCount)
    buffer.appendReserved(FrameHeader.magic, byteCount: 1)
    buffer.appendReserved(FrameHeader.version, byteCount: 1)
    buffer.appendReserved(kind.rawValue, byteCount: 1)
    buffer.appendReserved(flags, byteCount: 1)
    buffer.appendReserved(segmentCount.littleEndian, byteCount: 2)
    buffer.appendReserved(descriptorCount.littleEndian, byteCount: 2)
    buffer.appendReserved(taskID.littleEndian, byteCount: 8)
    buffer.appendReserved(payloadByteCount.littleEndian, byteCount: 8)
  }

  /// Appends a whole frame: this header with the right payload length, and the payload that `writePayload` appends.
  ///
  /// When `writePayload` throws, the buffer is as it was.
  func writeFrame<E: Error>(
    to buffer: inout ByteBuffer, _ writePayload: (inout ByteBuffer, inout FrameHeader) throws(E) -> Void
  ) throws(E) {
    let start = buffer.count
    write(to: &buffer)
    var header = self
    do throws(E) {
      try writePayload(&buffer, &header)
    } catch {
      buffer.truncate(to: start)
      throw error
    }
    let byteCount = buffer.count - start - FrameHeader.byteCount
    buffer.store(littleEndian: header.segmentCount, at: start + 4)
    buffer.store(littleEndian: header.descriptorCount, at: start + 6)
    buffer.store(littleEndian: UInt64(byteCount), at: start + 16)
    buffer.store(littleEndian: header.kind.rawValue, at: start + 2)
    buffer.store(littleEndian: header.flags, at: start + 3)
  }

  /// Reads a header from the first bytes of `bytes`, of which there are enough.
  static func read(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> FrameHeader {
    precondition(bytes.count >= byteCount)
    guard bytes[0] == magic else { throw .notAFrame(firstByte: bytes[0]) }
    guard bytes[1] == version else { throw .otherVersion(bytes[1]) }
    func load<I: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> I {
      I(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: I.self))
    }
    return FrameHeader(
      kind: FrameKind(rawValue: bytes[2]), flags: bytes[3], segmentCount: load(4), descriptorCount: load(6),
      taskID: load(8), payloadByteCount: load(16))
  }
}

/// Why a stream of frames cannot be read any further.
enum FrameError: Error, Equatable, CustomStringConvertible {
  case notAFrame(firstByte: UInt8)
  case otherVersion(UInt8)
  case payloadTooLarge(UInt64, limit: Int)
  case tooManySegments(Int, limit: Int)
  case tooManyDescriptors(Int, limit: Int)
  case endedWithinFrame(received: Int, expected: Int)

  var description: String {
    switch self {
    case .notAFrame(let byte):
      "The stream has the byte \(byte) where a frame should begin: the other end is not a worker of this library, "
        + "or something else wrote to its descriptor."
    case .otherVersion(let version):
      "The other end speaks version \(version) of the protocol and this one \(FrameHeader.version): "
        + "they are not builds of the same program."
    case .payloadTooLarge(let byteCount, let limit):
      "A frame announces a payload of \(byteCount) bytes; the limit is \(limit)."
    case .tooManySegments(let count, let limit): "A frame announces \(count) segments; the limit is \(limit)."
    case .tooManyDescriptors(let count, let limit):
      "A frame announces \(count) descriptors; the limit is \(limit)."
    case .endedWithinFrame(let received, let expected):
      "The stream ended within a frame: \(received) of \(expected) bytes had arrived."
    }
  }
}
