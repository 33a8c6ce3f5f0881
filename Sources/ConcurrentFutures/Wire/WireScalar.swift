/// The types that have a decoding method of their own in every container.
protocol WireScalar: Decodable {
  /// Reads a value and moves `offset` behind it.
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> Self

  /// Reads an element of a run, at an address where its whole stride can be read.
  static func read(element code: ElementCode, at address: UnsafeRawPointer) throws(WireFault) -> Self
}

extension WireScalar where Self: FixedWidthInteger {
  @inline(__always)
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> Self {
    try reader.integer(Self.self, at: &offset)
  }

  /// The other fixed-width integers are accepted where the number fits.
  static func read(element code: ElementCode, at address: UnsafeRawPointer) throws(WireFault) -> Self {
    func exactly<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type) throws(WireFault) -> Self {
      let number = address.loadUnaligned(as: I.self)
      guard let value = Self(exactly: number) else { throw .outOfRange("\(number)") }
      return value
    }
    switch code {
    case .uint8: return try exactly(UInt8.self)
    case .int64: return try exactly(Int64.self)
    case .int8: return try exactly(Int8.self)
    case .int16: return try exactly(Int16.self)
    case .uint16: return try exactly(UInt16.self)
    case .int32: return try exactly(Int32.self)
    case .uint32: return try exactly(UInt32.self)
    case .uint64: return try exactly(UInt64.self)
    case .int128: return try exactly(Int128.self)
    case .uint128: return try exactly(UInt128.self)
    default: throw .mismatch(code.tag)
    }
  }
}

extension WireScalar where Self: BinaryFloatingPoint {
  static func read(element code: ElementCode, at address: UnsafeRawPointer) throws(WireFault) -> Self {
    switch code {
    case .double:
      let number = address.loadUnaligned(as: Double.self)
      if Self.self == Double.self || number.isNaN { return Self(number) }
      guard let value = Self(exactly: number) else { throw .outOfRange("\(number)") }
      return value
    case .float: return Self(address.loadUnaligned(as: Float.self))
    default:
      let number = try Int64.read(element: code, at: address)
      guard let value = Self(exactly: number) else { throw .outOfRange("\(number)") }
      return value
    }
  }
}

extension Int: WireScalar {}
extension Int8: WireScalar {}
extension Int16: WireScalar {}
extension Int32: WireScalar {}
extension Int64: WireScalar {}
extension Int128: WireScalar {}
extension UInt: WireScalar {}
extension UInt8: WireScalar {}
extension UInt16: WireScalar {}
extension UInt32: WireScalar {}
extension UInt64: WireScalar {}
extension UInt128: WireScalar {}

extension Double: WireScalar {
  @inline(__always)
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> Double {
    try reader.double(at: &offset)
  }
}

extension Float: WireScalar {
  @inline(__always)
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> Float {
    try reader.float(at: &offset)
  }
}

extension Bool: WireScalar {
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> Bool {
    try reader.bool(at: &offset)
  }

  static func read(element code: ElementCode, at address: UnsafeRawPointer) throws(WireFault) -> Bool {
    guard code == .bool else { throw .mismatch(code.tag) }
    let byte = address.load(as: UInt8.self)
    guard byte < 2 else { throw .badBool }
    return byte == 1
  }
}

extension String: WireScalar {
  @inline(__always)
  static func read(_ reader: WireReader, at offset: inout Int) throws(WireFault) -> String {
    try reader.string(at: &offset)
  }

  static func read(element code: ElementCode, at address: UnsafeRawPointer) throws(WireFault) -> String {
    throw .mismatch(code.tag)
  }
}

extension ElementCode {
  /// The tag that an element would have on its own, for messages.
  var tag: UInt8 {
    switch self {
    case .bool: Tag.yes
    case .float: Tag.float
    case .double: Tag.double
    case .custom: Tag.run
    default: rawValue & 0x20 != 0 ? Tag.run : Tag.firstPositive
    }
  }
}
