/// Writes single values and container headers.
enum WireWriter {
  @inline(__always)
  static func write<I: FixedWidthInteger>(_ value: I, to out: inout ByteBuffer) {
    out.reserve(16)
    if value >= 0 {
      let bits = UInt64(truncatingIfNeeded: value)
      if bits < 0x80 {
        out.appendReserved(UInt8(truncatingIfNeeded: bits), byteCount: 1)
      } else {
        appendReserved(bits, Tag.firstPositive, to: &out)
      }
    } else {
      let bits = ~UInt64(truncatingIfNeeded: value)
      if bits < 16 {
        out.appendReserved(Tag.firstSmallNegative &+ UInt8(truncatingIfNeeded: bits), byteCount: 1)
      } else {
        appendReserved(bits, Tag.firstNegative, to: &out)
      }
    }
  }

  /// All eight bytes are stored, and as many counted as are needed: no branch depends on the width.
  @inline(__always)
  private static func appendReserved(_ bits: UInt64, _ firstTag: UInt8, to out: inout ByteBuffer) {
    let byteCount = (71 &- bits.leadingZeroBitCount) &>> 3
    out.appendReserved(firstTag &+ UInt8(truncatingIfNeeded: byteCount &- 1), byteCount: 1)
    out.appendReserved(bits.littleEndian, byteCount: byteCount)
  }

  static func write(_ value: Int128, to out: inout ByteBuffer) {
    if let narrow = Int64(exactly: value) { return write(narrow, to: &out) }
    out.append(Tag.int128)
    out.append(littleEndian: value)
  }

  static func write(_ value: UInt128, to out: inout ByteBuffer) {
    if let narrow = UInt64(exactly: value) { return write(narrow, to: &out) }
    out.append(Tag.uint128)
    out.append(littleEndian: value)
  }

  @inline(__always)
  static func write(_ value: Bool, to out: inout ByteBuffer) {
    out.append(value ? Tag.yes : Tag.no)
  }

  @inline(__always)
  static func writeNull(to out: inout ByteBuffer) {
    out.append(Tag.null)
  }

  @inline(__always)
  static func write(_ value: Double, to out: inout ByteBuffer) {
    out.reserve(9)
    out.appendReserved(Tag.double, byteCount: 1)
    out.appendReserved(value.bitPattern.littleEndian, byteCount: 8)
  }

  @inline(__always)
  static func write(_ value: Float, to out: inout ByteBuffer) {
    out.reserve(5)
    out.appendReserved(Tag.float, byteCount: 1)
    out.appendReserved(value.bitPattern.littleEndian, byteCount: 4)
  }

  static func write(_ value: String, to out: inout ByteBuffer, limit: Int) throws(EncodingFault) {
    var value = value
    let fits = value.withUTF8 { utf8 in
      let count = utf8.count
      guard count <= limit else { return false }
      out.reserve(count &+ 5)
      if count < 32 {
        out.appendReserved(Tag.firstString &+ UInt8(truncatingIfNeeded: count), byteCount: 1)
      } else if count < 256 {
        out.appendReserved(Tag.string8, byteCount: 1)
        out.appendReserved(UInt8(truncatingIfNeeded: count), byteCount: 1)
      } else {
        out.appendReserved(Tag.string32, byteCount: 1)
        out.appendReserved(UInt32(truncatingIfNeeded: count).littleEndian, byteCount: 4)
      }
      out.append(UnsafeRawBufferPointer(utf8))
      return true
    }
    if !fits { throw .tooLarge }
  }

  /// Writes a run of elements with `tag` (`Tag.run` or `Tag.splice`).
  static func write(
    run bytes: UnsafeRawBufferPointer, of element: RawElement, tag: UInt8, to out: inout ByteBuffer, limit: Int
  ) throws(EncodingFault) {
    guard bytes.count <= limit else { throw .tooLarge }
    out.append(tag)
    write(element, to: &out)
    out.append(varint: bytes.count / element.stride)
    out.append(bytes)
  }

  /// Writes a reference to a run that travels outside the message.
  static func write(segment index: Int, byteCount: Int, of element: RawElement, to out: inout ByteBuffer) {
    out.append(Tag.segment)
    write(element, to: &out)
    out.append(varint: index)
    out.append(varint: byteCount)
  }

  private static func write(_ element: RawElement, to out: inout ByteBuffer) {
    out.append(element.code.rawValue)
    if element.code.scalarStride == 0 { out.append(varint: element.stride) }
  }

  // MARK: - Containers

  static func appendEmptyKeyed(to out: inout ByteBuffer) {
    out.append(Tag.keyed8)
    out.append(0)
  }

  @inline(__always)
  private static func headerCount(_ frame: EncodingFrame) -> Int {
    let lengthCount = frame.isLong ? 4 : 1
    return 1 &+ (frame.kind == .unkeyed ? 2 &* lengthCount : lengthCount)
  }

  /// Leaves room for a header whose numbers are not known yet.
  @inline(__always)
  static func openContainer(_ frame: EncodingFrame, in out: inout ByteBuffer) {
    out.reserve(16)
    let tag = frame.kind == .unkeyed ? Tag.unkeyed8 : Tag.keyed8
    out.appendReserved(frame.isLong ? tag &+ 1 : tag, byteCount: 1)
    out.appendReserved(UInt64(0), byteCount: headerCount(frame) &- 1)
  }

  /// Fills in the header of the container that begins at `frame.start` and reaches to the end of the output.
  @inline(__always)
  static func closeContainer(_ frame: EncodingFrame, in out: inout ByteBuffer) {
    let length = out.count &- frame.start &- headerCount(frame)
    if !frame.isLong && length < 256 {
      out.store(littleEndian: UInt8(truncatingIfNeeded: length), at: frame.start &+ 1)
      // Below 256 bytes of ordinary elements there are fewer than 256 of them; a splice has its own count.
      guard frame.kind == .unkeyed else { return }
      guard frame.count < 256 else { return widen(frame, length, in: &out) }
      out.store(littleEndian: UInt8(truncatingIfNeeded: frame.count), at: frame.start &+ 2)
    } else if frame.isLong {
      storeWide(frame, length, in: &out)
    } else {
      widen(frame, length, in: &out)
    }
  }

  @inline(never)
  private static func widen(_ frame: EncodingFrame, _ length: Int, in out: inout ByteBuffer) {
    var wide = frame
    wide.isLong = true
    out.openGap(at: frame.start + 1, byteCount: headerCount(wide) - headerCount(frame))
    let tag = frame.kind == .unkeyed ? Tag.unkeyed32 : Tag.keyed32
    out.store(littleEndian: tag, at: frame.start)
    storeWide(wide, length, in: &out)
  }

  private static func storeWide(_ frame: EncodingFrame, _ length: Int, in out: inout ByteBuffer) {
    out.store(littleEndian: UInt32(truncatingIfNeeded: length), at: frame.start + 1)
    guard frame.kind == .unkeyed else { return }
    out.store(littleEndian: UInt32(truncatingIfNeeded: frame.count), at: frame.start + 5)
  }
}
