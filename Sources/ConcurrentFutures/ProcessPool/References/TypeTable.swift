#if os(Linux) || os(macOS)
import CProcessSupport

/// The nominal types of this image, in the order of the table that the compiler leaves in it.
///
/// `private` types and those local to a function have no name that another process can resolve. Parent and worker are the
/// same image, so the type's place in this table names it in both. An index from a hostile process can name a type of the
/// program and nothing else: it is bounded by the table, and every entry is a real descriptor.
enum TypeTable {
  /// Where types stand, by the address of their descriptors. Built on first use: one pass over the table.
  private static let places: [UInt: Int] = {
    var count = 0
    guard let records = cp_type_records(&count) else { return [:] }
    var places: [UInt: Int] = [:]
    for place in 0..<count {
      if let descriptor = descriptor(of: records + place) { places[UInt(bitPattern: descriptor)] = place }
    }
    return places
  }()

  /// A record is a relative pointer whose two low bits tell how to follow it; 0 is direct. Others are other images' types.
  private static func descriptor(of record: UnsafePointer<Int32>) -> UnsafeRawPointer? {
    let value = record.pointee
    guard value & 3 == 0, value != 0 else { return nil }
    return UnsafeRawPointer(record) + Int(value)
  }

  /// The place of a struct, enum or class that is not generic; nil for anything else.
  static func place(of type: Any.Type) -> Int? {
    let metadata = unsafeBitCast(type, to: UnsafeRawPointer.self)
    guard let descriptor = descriptor(ofMetadata: metadata), let place = places[UInt(bitPattern: descriptor)],
      self.type(at: place) == type
    else { return nil }
    return place
  }

  private static func descriptor(ofMetadata metadata: UnsafeRawPointer) -> UnsafeRawPointer? {
    // MetadataKind: 0x200 struct, 0x201 enum, 0x202 optional; class metadata starts with 0 or with an isa pointer.
    let kind = metadata.load(as: UInt.self)
    if kind == 0x200 || kind == 0x201 { return metadata.load(fromByteOffset: 8, as: UnsafeRawPointer?.self) }
    guard kind == 0 || kind > 0x7FF else { return nil }
    #if canImport(ObjectiveC)
    return metadata.load(fromByteOffset: 64, as: UnsafeRawPointer?.self)
    #else
    return metadata.load(fromByteOffset: 40, as: UnsafeRawPointer?.self)
    #endif
  }

  /// The type at a place; nil if there is none, or if it is generic.
  static func type(at place: Int) -> Any.Type? {
    var count = 0
    guard let records = cp_type_records(&count), place >= 0, place < count,
      let descriptor = descriptor(of: records + place)
    else { return nil }
    // TypeContextDescriptor: flags, parent, name, access function; the kind is in the low five bits, "generic" is 0x80.
    let flags = descriptor.load(as: UInt32.self)
    guard (16...18).contains(flags & 0x1F), flags & 0x80 == 0 else { return nil }
    let field = descriptor + 12
    let offset = field.load(as: Int32.self)
    guard offset != 0, let metadata = cp_type_metadata(field + Int(offset)) else { return nil }
    return unsafeBitCast(metadata, to: Any.Type.self)
  }
}
#endif
