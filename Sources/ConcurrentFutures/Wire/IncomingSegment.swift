/// The contents of a long array, which came beside its message.
struct IncomingSegment {
  /// Any bits are valid in them, and in shared memory they may change meanwhile.
  let bytes: UnsafeRawBufferPointer
  /// Keeps `bytes` where they are; nil where somebody else does.
  private let owner: AnyObject?
  /// The array that they are the elements of, when they were received into one. If it is of the type that is decoded, it need not be
  /// copied.
  let array: (any ContiguousElements)?

  init(_ bytes: UnsafeRawBufferPointer, keptBy owner: AnyObject? = nil) {
    self.bytes = bytes
    self.owner = owner
    array = nil
  }

  init(_ filled: UnfilledArray) {
    bytes = UnsafeRawBufferPointer(filled.bytes)
    owner = nil
    array = filled.array
  }
}

/// An array whose elements are still to come.
struct UnfilledArray {
  let array: any ContiguousElements
  /// Its storage. A native array's storage never moves, and nobody else has this one, so it can be written to.
  let bytes: UnsafeMutableRawBufferPointer

  /// Nil for elements of which not any bits are valid, or whose type only its user's code knows.
  init?(of element: ElementCode, byteCount: Int) {
    switch element {
    case .double: self.init(Double.self, byteCount)
    case .int: self.init(Int.self, byteCount)
    case .uint8: self.init(UInt8.self, byteCount)
    case .float: self.init(Float.self, byteCount)
    case .int8: self.init(Int8.self, byteCount)
    case .int16: self.init(Int16.self, byteCount)
    case .uint16: self.init(UInt16.self, byteCount)
    case .int32: self.init(Int32.self, byteCount)
    case .uint32: self.init(UInt32.self, byteCount)
    case .int64: self.init(Int64.self, byteCount)
    case .uint: self.init(UInt.self, byteCount)
    case .uint64: self.init(UInt64.self, byteCount)
    case .int128: self.init(Int128.self, byteCount)
    case .uint128: self.init(UInt128.self, byteCount)
    default: return nil
    }
  }

  private init?<Element: BitwiseCopyable>(_ type: Element.Type, _ byteCount: Int) {
    let (count, rest) = byteCount.quotientAndRemainder(dividingBy: MemoryLayout<Element>.stride)
    guard count > 0, rest == 0 else { return nil }
    var start: UnsafeMutableRawPointer?
    array = [Element](unsafeUninitializedCapacity: count) { elements, initializedCount in
      start = UnsafeMutableRawPointer(elements.baseAddress!)
      initializedCount = count
    }
    bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
  }
}
