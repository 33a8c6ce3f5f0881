/// What is wrong with bytes; becomes a `DecodingError` where the coding path is known.
enum WireFault: Error {
  case truncated
  case badTag(UInt8)
  case badElement
  case badLength
  case badText
  case badBool
  case unknownKey(Int)
  case duplicateKey(Int)
  case outOfRange(String)
  /// The value is of another type, named here by its tag.
  case mismatch(UInt8)
  case atEnd
  case tooDeep
  case tooMuchStack
  case segment(String)
  case finished
}

/// The head of a run, segment or splice.
struct RunHeader {
  let element: RawElement
  let count: Int
  /// Where the elements begin, or the end of the value for a segment.
  let start: Int

  var byteCount: Int { count &* element.stride }
}

/// Reads values from bytes that may be damaged or hostile.
///
/// Every offset that is read was compared with `end` before. Nothing is allocated for a length that the remaining bytes
/// do not bear out. The bytes must not change meanwhile: copy a message out of shared memory before it is decoded.
struct WireReader {
  let base: UnsafePointer<UInt8>
  let end: Int

  @inline(__always)
  func tag(at offset: Int) throws(WireFault) -> UInt8 {
    guard offset < end else { throw .truncated }
    return base[offset]
  }

  /// Loads an integer whose bytes are known to be there.
  @inline(__always)
  func load<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type, at offset: Int) -> I {
    I(littleEndian: UnsafeRawPointer(base).loadUnaligned(fromByteOffset: offset, as: I.self))
  }

  @inline(__always)
  func load<I: FixedWidthInteger & BitwiseCopyable>(checked type: I.Type, at offset: Int) throws(WireFault) -> I {
    guard end &- offset >= MemoryLayout<I>.size else { throw .truncated }
    return load(type, at: offset)
  }

  @inline(__always)
  func varint(at offset: inout Int) throws(WireFault) -> Int {
    guard offset < end else { throw .truncated }
    let byte = base[offset]
    if byte < 0x80 {
      offset &+= 1
      return Int(byte)
    }
    return try longVarint(at: &offset)
  }

  @inline(never)
  private func longVarint(at offset: inout Int) throws(WireFault) -> Int {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      guard offset < end else { throw .truncated }
      let byte = base[offset]
      offset += 1
      result |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { break }
      shift += 7
      if shift > 56 { throw .badLength }
    }
    return Int(result)
  }

  // MARK: - Extents

  /// Where the value at `offset` ends, which is at or before `limit`.
  @inline(__always)
  func valueEnd(at offset: Int, limit: Int) throws(WireFault) -> Int {
    guard offset < limit else { throw .truncated }
    let tag = base[offset]
    let valueEnd: Int
    if tag < Tag.firstString {
      valueEnd = offset &+ 1
    } else if tag < Tag.firstSmallNegative {
      valueEnd = offset &+ 1 &+ Int(tag & 31)
    } else {
      valueEnd = try longValueEnd(tag, at: offset)
    }
    guard valueEnd <= limit else { throw .truncated }
    return valueEnd
  }

  private func longValueEnd(_ tag: UInt8, at offset: Int) throws(WireFault) -> Int {
    switch tag {
    case Tag.firstSmallNegative..<Tag.null, Tag.null, Tag.no, Tag.yes: return offset + 1
    case Tag.double: return offset + 9
    case Tag.float: return offset + 5
    case Tag.firstPositive..<Tag.firstNegative: return offset + 2 + Int(tag &- Tag.firstPositive)
    case Tag.firstNegative..<Tag.int128: return offset + 2 + Int(tag &- Tag.firstNegative)
    case Tag.int128, Tag.uint128: return offset + 17
    case Tag.string8, Tag.keyed8: return offset + 2 + Int(try load(checked: UInt8.self, at: offset + 1))
    case Tag.string32, Tag.keyed32: return offset + 5 + Int(try load(checked: UInt32.self, at: offset + 1))
    case Tag.unkeyed8: return offset + 3 + Int(try load(checked: UInt8.self, at: offset + 1))
    case Tag.unkeyed32: return offset + 9 + Int(try load(checked: UInt32.self, at: offset + 1))
    case Tag.run:
      let header = try run(at: offset)
      return header.start + header.byteCount
    case Tag.segment: return try segment(at: offset).header.start
    default: throw .badTag(tag)
    }
  }

  // MARK: - Runs

  /// The head of the run or splice at `offset`; its bytes lie within the message.
  func run(at offset: Int) throws(WireFault) -> RunHeader {
    var offset = offset + 1
    let element = try element(at: &offset)
    let count = try varint(at: &offset)
    guard count <= (end - offset) / element.stride else { throw .badLength }
    return RunHeader(element: element, count: count, start: offset)
  }

  /// The head of the segment at `offset`, and its index.
  func segment(at offset: Int) throws(WireFault) -> (header: RunHeader, index: Int) {
    var offset = offset + 1
    let element = try element(at: &offset)
    let index = try varint(at: &offset)
    let byteCount = try varint(at: &offset)
    guard byteCount % element.stride == 0 else { throw .badLength }
    return (RunHeader(element: element, count: byteCount / element.stride, start: offset), index)
  }

  private func element(at offset: inout Int) throws(WireFault) -> RawElement {
    let code = ElementCode(rawValue: try tag(at: offset))
    offset += 1
    guard code.isKnown else { throw .badElement }
    if code.scalarStride > 0 { return RawElement(code: code, stride: code.scalarStride) }
    let stride = try varint(at: &offset)
    guard stride > 0 else { throw .badElement }
    return RawElement(code: code, stride: stride)
  }

  // MARK: - Scalars

  @inline(__always)
  func integer<I: FixedWidthInteger>(_ type: I.Type, at offset: inout Int) throws(WireFault) -> I {
    let tag = try tag(at: offset)
    if tag < Tag.firstString {
      offset &+= 1
      return I(truncatingIfNeeded: tag)
    }
    return try wideInteger(type, tag, at: &offset)
  }

  @inline(__always)
  private func wideInteger<I: FixedWidthInteger>(
    _ type: I.Type, _ tag: UInt8, at offset: inout Int
  ) throws(WireFault) -> I {
    if tag >= Tag.firstPositive && tag < Tag.int128 {
      let byteCount = Int(tag & 7) &+ 1
      let bits = try bits(byteCount, at: offset &+ 1)
      if tag < Tag.firstNegative {
        guard let value = I(exactly: bits) else { throw .outOfRange("\(bits)") }
        offset &+= 1 &+ byteCount
        return value
      }
      // ~bits is the value; bits above Int64.max would need a wider integer, which has its own tag.
      guard let positive = Int64(exactly: bits) else { throw .badTag(tag) }
      guard let value = I(exactly: ~positive) else { throw .outOfRange("\(~positive)") }
      offset &+= 1 &+ byteCount
      return value
    }
    if tag >= Tag.firstSmallNegative && tag < Tag.null {
      let small = -1 &- Int64(tag &- Tag.firstSmallNegative)
      guard let value = I(exactly: small) else { throw .outOfRange("\(small)") }
      offset &+= 1
      return value
    }
    return try hugeInteger(type, tag, at: &offset)
  }

  @inline(never)
  private func hugeInteger<I: FixedWidthInteger>(
    _ type: I.Type, _ tag: UInt8, at offset: inout Int
  ) throws(WireFault) -> I {
    let value: I?
    if tag == Tag.int128 {
      value = I(exactly: try load(checked: Int128.self, at: offset + 1))
    } else if tag == Tag.uint128 {
      value = I(exactly: try load(checked: UInt128.self, at: offset + 1))
    } else {
      throw .mismatch(tag)
    }
    guard let value else { throw .outOfRange("of 128 bits") }
    offset += 17
    return value
  }

  @inline(__always)
  private func bits(_ byteCount: Int, at offset: Int) throws(WireFault) -> UInt64 {
    if end &- offset >= 8 {
      return load(UInt64.self, at: offset) & (UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- 8 &* byteCount))
    }
    guard end &- offset >= byteCount else { throw .truncated }
    var bits: UInt64 = 0
    for index in 0..<byteCount { bits |= UInt64(base[offset &+ index]) &<< UInt64(truncatingIfNeeded: 8 &* index) }
    return bits
  }

  func bool(at offset: inout Int) throws(WireFault) -> Bool {
    let tag = try tag(at: offset)
    guard tag == Tag.yes || tag == Tag.no else { throw .mismatch(tag) }
    offset += 1
    return tag == Tag.yes
  }

  /// A `Double`; other numbers are accepted where they are exact, as they are by other coders.
  @inline(__always)
  func double(at offset: inout Int) throws(WireFault) -> Double {
    let tag = try tag(at: offset)
    guard tag == Tag.double, end &- offset >= 9 else { return try otherNumber(Double.self, tag, at: &offset) }
    defer { offset &+= 9 }
    return Double(bitPattern: load(UInt64.self, at: offset &+ 1))
  }

  @inline(__always)
  func float(at offset: inout Int) throws(WireFault) -> Float {
    let tag = try tag(at: offset)
    guard tag == Tag.float, end &- offset >= 5 else { return try otherNumber(Float.self, tag, at: &offset) }
    defer { offset &+= 5 }
    return Float(bitPattern: load(UInt32.self, at: offset &+ 1))
  }

  @inline(never)
  private func otherNumber<F: BinaryFloatingPoint>(
    _ type: F.Type, _ tag: UInt8, at offset: inout Int
  ) throws(WireFault) -> F {
    switch tag {
    case Tag.float:
      let value = Float(bitPattern: try load(checked: UInt32.self, at: offset + 1))
      offset += 5
      return F(value)
    case Tag.double:
      let value = Double(bitPattern: try load(checked: UInt64.self, at: offset + 1))
      guard let exact = F(exactly: value) else { throw .outOfRange("\(value)") }
      offset += 9
      return exact
    default:
      let value = try integer(Int64.self, at: &offset)
      guard let exact = F(exactly: value) else { throw .outOfRange("\(value)") }
      return exact
    }
  }

  @inline(__always)
  func string(at offset: inout Int) throws(WireFault) -> String {
    let tag = try tag(at: offset)
    let start: Int
    let count: Int
    if tag & 0xE0 == Tag.firstString {
      start = offset &+ 1
      count = Int(tag & 31)
    } else if tag == Tag.string8 {
      start = offset &+ 2
      count = Int(try load(checked: UInt8.self, at: offset &+ 1))
    } else if tag == Tag.string32 {
      start = offset &+ 5
      count = Int(try load(checked: UInt32.self, at: offset &+ 1))
    } else {
      throw .mismatch(tag)
    }
    let text = try text(at: start, count: count)
    offset = start &+ count
    return text
  }

  func text(at start: Int, count: Int) throws(WireFault) -> String {
    guard count <= end &- start else { throw .truncated }
    // `String(validating:)` is generic and not specialised for this; it costs several times the copy. What is ASCII is
    // valid, and this initialiser makes it.
    if isASCII(start, count) {
      return String(unsafeUninitializedCapacity: count) { place in
        UnsafeMutableRawPointer(place.baseAddress!).copyMemory(from: base + start, byteCount: count)
        return count
      }
    }
    guard let text = String(validating: UnsafeBufferPointer(start: base + start, count: count), as: UTF8.self) else {
      throw .badText
    }
    return text
  }

  @inline(__always)
  private func isASCII(_ start: Int, _ count: Int) -> Bool {
    var bits: UInt64 = 0
    var offset = start
    let stop = start &+ count
    while stop &- offset >= 8 {
      bits |= load(UInt64.self, at: offset)
      offset &+= 8
    }
    while offset < stop {
      bits |= UInt64(base[offset])
      offset &+= 1
    }
    return bits & 0x8080_8080_8080_8080 == 0
  }
}
