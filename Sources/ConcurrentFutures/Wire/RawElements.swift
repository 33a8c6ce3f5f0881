/// A type whose arrays travel to a worker process, and back, as the bytes that they are in memory.
///
/// Conform a struct of numbers to send arrays of it at the speed of a copy instead of element by element:
///
///     struct Sample: RawBytesCodable { var time: Double; var value: Float; var channel: Int32 }
///
/// It applies to `[Sample]` and `ContiguousArray<Sample>` wherever they occur in an argument or a result; a `Sample` on its own still uses its `Codable` implementation.
///
/// **Every bit pattern must be a valid value.** Numbers, SIMD vectors and structs of them qualify. A type that stores a
/// `Bool`, an enum, an optional, a pointer or a range does not: the bytes that arrive are not checked, and the other
/// process may have been damaged by the work that it did.
///
/// This is a promise that only the author of a type can make: neither `BitwiseCopyable` nor a look at the layout tells
/// whether all bit patterns are valid, or whether a hand-written `encode(to:)` is meant to be bypassed.
public protocol RawBytesCodable: Codable, BitwiseCopyable, Sendable {}

/// What the elements of a run are. The codes travel.
struct ElementCode: Equatable {
  let rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }

  static let bool = ElementCode(rawValue: 1)
  static let int8 = ElementCode(rawValue: 2)
  static let uint8 = ElementCode(rawValue: 3)
  static let int16 = ElementCode(rawValue: 4)
  static let uint16 = ElementCode(rawValue: 5)
  static let int32 = ElementCode(rawValue: 6)
  static let uint32 = ElementCode(rawValue: 7)
  static let int64 = ElementCode(rawValue: 8)
  static let uint64 = ElementCode(rawValue: 9)
  static let float = ElementCode(rawValue: 10)
  static let double = ElementCode(rawValue: 11)
  static let int128 = ElementCode(rawValue: 12)
  static let uint128 = ElementCode(rawValue: 13)
  /// A type that opted in; its stride follows.
  static let custom = ElementCode(rawValue: 0x7F)

  static let int = MemoryLayout<Int>.size == 8 ? int64 : int32
  static let uint = MemoryLayout<UInt>.size == 8 ? uint64 : uint32

  /// A SIMD vector of this scalar; its stride follows.
  var vector: ElementCode { ElementCode(rawValue: rawValue | 0x20) }

  /// The stride of a scalar, or 0 when the stride is sent.
  var scalarStride: Int {
    switch rawValue {
    case 1, 2, 3: 1
    case 4, 5: 2
    case 6, 7, 10: 4
    case 8, 9, 11: 8
    case 12, 13: 16
    default: 0
    }
  }

  /// Whether this is a code that an encoder can have written.
  var isKnown: Bool {
    scalarStride > 0 || self == .custom
      || (rawValue & 0x20 != 0 && ElementCode(rawValue: rawValue & ~0x20).scalarStride > 0)
  }
}

/// An element type, as runs describe it.
struct RawElement: Equatable {
  let code: ElementCode
  let stride: Int

  /// Nil for a type that does not travel as raw bytes.
  ///
  /// A closed list of the standard library's types, and those that opted in. A user's struct that merely happens to be
  /// trivial is not in it: its `encode(to:)` may be written by hand, and must run.
  init?(_ type: Any.Type) {
    if let scalar = RawElement.scalarCode(of: type) {
      self.init(code: scalar, stride: scalar.scalarStride)
    } else if _typeName(type, qualified: true).utf8.starts(with: "Swift.SIMD".utf8),  // spares a cast that would fail
      let vector = type as? any SIMDVectorType.Type,
      let scalar = RawElement.scalarCode(of: vector.scalarType)
    {
      self.init(code: scalar.vector, stride: vector.stride)
    } else if let custom = type as? any RawBytesCodable.Type, let stride = RawElement.stride(of: custom) {
      self.init(code: .custom, stride: stride)
    } else {
      return nil
    }
  }

  init(code: ElementCode, stride: Int) {
    self.code = code
    self.stride = stride
  }

  static func scalarCode(of type: Any.Type) -> ElementCode? {
    if type == Double.self { return .double }
    if type == Int.self { return .int }
    if type == UInt8.self { return .uint8 }
    if type == Float.self { return .float }
    if type == Int32.self { return .int32 }
    if type == Int64.self { return .int64 }
    if type == Int8.self { return .int8 }
    if type == Int16.self { return .int16 }
    if type == UInt.self { return .uint }
    if type == UInt16.self { return .uint16 }
    if type == UInt32.self { return .uint32 }
    if type == UInt64.self { return .uint64 }
    if type == Bool.self { return .bool }
    if type == Int128.self { return .int128 }
    if type == UInt128.self { return .uint128 }
    return nil
  }

  private static func stride<E: RawBytesCodable>(of type: E.Type) -> Int? {
    MemoryLayout<E>.size > 0 ? MemoryLayout<E>.stride : nil
  }
}

/// The standard library's vectors, found at run time by this conformance.
protocol SIMDVectorType {
  static var scalarType: Any.Type { get }
  static var stride: Int { get }
}

extension SIMDVectorType where Self: SIMD {
  static var scalarType: Any.Type { Scalar.self }
  static var stride: Int { MemoryLayout<Self>.stride }
}

extension SIMD2: SIMDVectorType {}
extension SIMD3: SIMDVectorType {}
extension SIMD4: SIMDVectorType {}
extension SIMD8: SIMDVectorType {}
extension SIMD16: SIMDVectorType {}
extension SIMD32: SIMDVectorType {}
extension SIMD64: SIMDVectorType {}

/// An array whose storage is one block of elements.
protocol ContiguousElements {
  static var elementType: Any.Type { get }
  static var isArray: Bool { get }

  /// The elements' memory, for the time of the call.
  func withElementBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R

  /// An array made of a copy of `bytes`, which are whole elements of a type that has a `RawElement`.
  static func copying(_ bytes: UnsafeRawBufferPointer) -> Self
}

extension Array: ContiguousElements {
  static var elementType: Any.Type { Element.self }
  static var isArray: Bool { true }

  func withElementBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withUnsafeBytes(body)
  }

  static func copying(_ bytes: UnsafeRawBufferPointer) -> [Element] {
    let count = bytes.count / MemoryLayout<Element>.stride
    // The initializer would write a count of zero into the one empty array that the whole process shares.
    if count == 0 { return [] }
    return Array(unsafeUninitializedCapacity: count) { elements, initializedCount in
      UnsafeMutableRawBufferPointer(elements).copyMemory(from: bytes)
      initializedCount = count
    }
  }
}

extension ContiguousArray: ContiguousElements {
  static var elementType: Any.Type { Element.self }
  static var isArray: Bool { false }

  func withElementBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withUnsafeBytes(body)
  }

  static func copying(_ bytes: UnsafeRawBufferPointer) -> ContiguousArray<Element> {
    let count = bytes.count / MemoryLayout<Element>.stride
    if count == 0 { return [] }
    return ContiguousArray(unsafeUninitializedCapacity: count) { elements, initializedCount in
      UnsafeMutableRawBufferPointer(elements).copyMemory(from: bytes)
      initializedCount = count
    }
  }
}
