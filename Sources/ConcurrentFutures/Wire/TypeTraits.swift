import Synchronization

/// How values of one type are written, found out once for each type of the program.
///
/// Generic code that is called from another module sees nothing but a metatype. Comparing that with every type that has
/// a short way, or casting to a protocol, costs more than encoding an integer; a look-up by the metatype's address does
/// not.
struct TypeTraits {
  enum Kind: UInt8 {
    /// Through its own `encode(to:)` and `init(from:)`.
    case ordinary
    case bool, int, int8, int16, int32, int64, int128
    case uint, uint8, uint16, uint32, uint64, uint128
    case float, double, string
    /// `Array` or `ContiguousArray` of raw elements.
    case array
    /// A SIMD vector.
    case vector
    /// Foundation's `Data`, which decodes itself byte by byte if it is not helped.
    case data
    /// An `Array` of other elements.
    case list
    case optional

    /// Whether a message of such a value has no containers and no segments.
    var isPlain: Bool {
      switch self {
      case .ordinary, .array, .data, .list, .optional: false
      default: true
      }
    }
  }

  let type: ObjectIdentifier
  let kind: Kind
  /// What `.array` holds, or what `.vector` is.
  var element = RawElement(code: .uint8, stride: 1)
  var arrayType: (any ContiguousElements.Type)?
  var dataType: (any RangeReplaceableCollection<UInt8>.Type)?
  /// Whether an `.array` is an `Array`.
  var isPlainArray = false
  var encodableList: (any EncodableList.Type)?
  var decodableList: (any DecodableList.Type)?
  var encodableOptional: (any EncodableOptional.Type)?
  var decodableOptional: (any DecodableOptional.Type)?

  /// The traits of a type; the pointer stays valid for ever.
  @inline(__always)
  static func of<T>(_ type: T.Type) -> UnsafePointer<TypeTraits> {
    let id = ObjectIdentifier(type)
    let slot = TypeTraitsCache.slots + TypeTraitsCache.slotIndex(id)
    if let found = UnsafePointer<TypeTraits>(bitPattern: slot.pointee.load(ordering: .acquiring)),
      found.pointee.type == id
    {
      return found
    }
    return TypeTraitsCache.insert(type, id, slot)
  }

  fileprivate init<T>(classifying type: T.Type) {
    self.type = ObjectIdentifier(type)
    if let scalar = TypeTraits.scalarKind(of: type) {
      kind = scalar
      return
    }
    // The name says which casts can succeed. A cast that fails searches every conformance of the process, which takes
    // some 20 us; for five protocols, that is more than starting a worker can spare for its first value.
    let name = _typeName(type, qualified: true)
    func isNamed(_ prefix: StaticString) -> Bool {
      prefix.withUTF8Buffer { name.utf8.starts(with: $0) }
    }
    if isNamed("Swift.Array<") || isNamed("Swift.ContiguousArray<"), let array = type as? any ContiguousElements.Type {
      if let element = RawElement(array.elementType) {
        kind = .array
        self.element = element
        arrayType = array
        isPlainArray = array.isArray
        return
      }
      kind = array.isArray ? .list : .ordinary
      encodableList = type as? any EncodableList.Type
      decodableList = type as? any DecodableList.Type
    } else if isNamed("Swift.Optional<") {
      kind = .optional
      encodableOptional = type as? any EncodableOptional.Type
      decodableOptional = type as? any DecodableOptional.Type
    } else if isNamed("Swift.SIMD"), let element = RawElement(type) {
      kind = .vector
      self.element = element
    } else if name == "Foundation.Data" || name == "FoundationEssentials.Data",
      let data = type as? any RangeReplaceableCollection<UInt8>.Type
    {
      // Foundation is not imported here, so `Data` is known by its name and used through a standard protocol.
      kind = .data
      dataType = data
    } else {
      kind = .ordinary
    }
  }

  private static func scalarKind(of type: Any.Type) -> Kind? {
    if type == Int.self { return .int }
    if type == String.self { return .string }
    if type == Double.self { return .double }
    if type == Bool.self { return .bool }
    if type == Float.self { return .float }
    if type == Int8.self { return .int8 }
    if type == Int16.self { return .int16 }
    if type == Int32.self { return .int32 }
    if type == Int64.self { return .int64 }
    if type == Int128.self { return .int128 }
    if type == UInt.self { return .uint }
    if type == UInt8.self { return .uint8 }
    if type == UInt16.self { return .uint16 }
    if type == UInt32.self { return .uint32 }
    if type == UInt64.self { return .uint64 }
    if type == UInt128.self { return .uint128 }
    return nil
  }
}

/// A table of immortal entries, one slot for each hash; two types that share a slot take turns in it.
///
/// An entry is complete before its address is stored in the slot (release), and never changes or goes after: a reader that loads the
/// address (acquire) may use it without a lock. An old or another type's entry only sends the reader to the table under the lock.
private enum TypeTraitsCache {
  static let slotCount = 1024

  nonisolated(unsafe) static let slots: UnsafeMutablePointer<Atomic<UInt>> = {
    let slots = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: slotCount)
    for index in 0..<slotCount { (slots + index).initialize(to: Atomic(0)) }
    return slots
  }()

  /// Every entry that was ever made, so that types that fight for a slot do not leak.
  static let entries = Mutex<[ObjectIdentifier: UInt]>([:])

  @inline(__always)
  static func slotIndex(_ id: ObjectIdentifier) -> Int {
    // Metadata is 16-byte aligned, and that of related types often lies at small multiples apart.
    let bits = UInt(bitPattern: id) >> 4
    return Int(bitPattern: (bits ^ (bits >> 10)) & UInt(slotCount - 1))
  }

  @inline(never)
  static func insert<T>(
    _ type: T.Type, _ id: ObjectIdentifier, _ slot: UnsafeMutablePointer<Atomic<UInt>>
  ) -> UnsafePointer<TypeTraits> {
    let known = entries.withLock { $0[id] }
    let bits: UInt
    if let known {
      bits = known
    } else {
      // Outside the lock: the casts may run other code of the runtime, and two equal entries do no harm.
      let entry = UnsafeMutablePointer<TypeTraits>.allocate(capacity: 1)
      entry.initialize(to: TypeTraits(classifying: type))
      bits = entries.withLock { entries in
        if let other = entries[id] { return other }
        entries[id] = UInt(bitPattern: entry)
        return UInt(bitPattern: entry)
      }
      if bits != UInt(bitPattern: entry) {
        // Another thread was first, and nobody has seen this one.
        entry.deinitialize(count: 1)
        entry.deallocate()
      }
    }
    slot.pointee.store(bits, ordering: .releasing)
    return UnsafePointer(bitPattern: bits)!
  }
}
