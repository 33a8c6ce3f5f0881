#if os(Linux) || os(macOS)
/// How a type is named to another process of the same program.
///
/// By its mangled name where that resolves. Types that are `private` or local to a function are named by their place in the
/// image's table of types, also inside the standard library's containers.
indirect enum TypeReference {
  case named(String)
  case tabled(Int)
  case array(TypeReference)
  case optional(TypeReference)
  case set(TypeReference)
  case dictionary(TypeReference, TypeReference)

  /// The longest name that is looked up, in bytes. The runtime reads names recursively: one of 131 kB, which a worker that was
  /// taken over might send, overflows the stack.
  private static let longestName = 4096

  /// Nil for a type that another process cannot find.
  init?(_ type: Any.Type) {
    if let name = _mangledTypeName(type), name.utf8.count <= Self.longestName, !name.contains("$"),
      let found = _typeByName(name), found == type
    {
      self = .named(name)
    } else if let place = TypeTable.place(of: type) {
      self = .tabled(place)
    } else if let container = type as? any ReferableContainer.Type, let reference = container.reference {
      self = reference
    } else {
      return nil
    }
  }

  /// The type in this process.
  var type: (any Any.Type)? {
    switch self {
    case .named(let name): _typeByName(name)
    case .tabled(let place): TypeTable.type(at: place)
    case .array(let element): element.type.map { arrayType($0) }
    case .optional(let wrapped): wrapped.type.map { optionalType($0) }
    case .set(let element): (element.type as? any Hashable.Type).map { setType($0) }
    case .dictionary(let key, let value):
      if let key = key.type as? any Hashable.Type, let value = value.type { dictionaryType(key, value) } else { nil }
    }
  }

  func write(to writer: inout ReferenceWriter) {
    switch self {
    case .named(let name):
      writer.write(byte: 0)
      writer.write(name)
    case .tabled(let place):
      writer.write(byte: 1)
      writer.write(place)
    case .array(let element):
      writer.write(byte: 2)
      element.write(to: &writer)
    case .optional(let wrapped):
      writer.write(byte: 3)
      wrapped.write(to: &writer)
    case .set(let element):
      writer.write(byte: 4)
      element.write(to: &writer)
    case .dictionary(let key, let value):
      writer.write(byte: 5)
      key.write(to: &writer)
      value.write(to: &writer)
    }
  }

  /// Nil for bytes that are no reference, or one that nests deeper than types do.
  init?(from reader: inout ReferenceReader, depth: Int = 0) {
    guard depth < 32, let tag = reader.byte() else { return nil }
    func next() -> TypeReference? { TypeReference(from: &reader, depth: depth + 1) }
    switch tag {
    case 0:
      guard let name = reader.string(), name.utf8.count <= Self.longestName else { return nil }
      self = .named(name)
    case 1:
      guard let place = reader.number() else { return nil }
      self = .tabled(place)
    case 2:
      guard let element = next() else { return nil }
      self = .array(element)
    case 3:
      guard let wrapped = next() else { return nil }
      self = .optional(wrapped)
    case 4:
      guard let element = next() else { return nil }
      self = .set(element)
    case 5:
      guard let key = next(), let value = next() else { return nil }
      self = .dictionary(key, value)
    default: return nil
    }
  }
}

private func arrayType<E>(_ element: E.Type) -> Any.Type { [E].self }
private func optionalType<W>(_ wrapped: W.Type) -> Any.Type { W?.self }
private func setType<E: Hashable>(_ element: E.Type) -> Any.Type { Set<E>.self }
private func dictionaryType<K: Hashable, V>(_ key: K.Type, _ value: V.Type) -> Any.Type { [K: V].self }

/// A container of the standard library that may hold private types.
private protocol ReferableContainer {
  static var reference: TypeReference? { get }
}
extension Array: ReferableContainer {
  static var reference: TypeReference? { TypeReference(Element.self).map(TypeReference.array) }
}
extension Optional: ReferableContainer {
  static var reference: TypeReference? { TypeReference(Wrapped.self).map(TypeReference.optional) }
}
extension Set: ReferableContainer {
  static var reference: TypeReference? { TypeReference(Element.self).map(TypeReference.set) }
}
extension Dictionary: ReferableContainer {
  static var reference: TypeReference? {
    guard let key = TypeReference(Key.self), let value = TypeReference(Value.self) else { return nil }
    return .dictionary(key, value)
  }
}
#endif
