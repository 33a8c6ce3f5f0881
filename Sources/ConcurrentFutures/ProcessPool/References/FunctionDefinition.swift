#if os(Linux) || os(macOS)
/// What a worker is asked to run, in a form that means the same in another process of the program.
enum FunctionReference {
  case closure0(ClosureReference, TypeReference)
  case closure1(ClosureReference, TypeReference, TypeReference)
  case closure2(ClosureReference, TypeReference, TypeReference, TypeReference)
  case asyncClosure1(ClosureReference, TypeReference, TypeReference)
  /// A closure of one argument over an array, giving an array.
  case chunk(ClosureReference, TypeReference, TypeReference)
  /// A closure of one argument over each element of an array, giving an answer for each.
  case each(ClosureReference, TypeReference, TypeReference)
  case task(TypeReference)
  case asyncTask(TypeReference)

  var bytes: [UInt8] {
    var writer = ReferenceWriter()
    func write(_ tag: UInt8, _ closure: ClosureReference?, _ types: [TypeReference]) {
      writer.write(byte: tag)
      if let closure { writer.write(closure.offset) }
      for type in types { type.write(to: &writer) }
    }
    switch self {
    case .closure0(let closure, let r): write(0, closure, [r])
    case .closure1(let closure, let a, let r): write(1, closure, [a, r])
    case .closure2(let closure, let a, let b, let r): write(2, closure, [a, b, r])
    case .asyncClosure1(let closure, let a, let r): write(3, closure, [a, r])
    case .chunk(let closure, let a, let r): write(4, closure, [a, r])
    case .each(let closure, let a, let r): write(5, closure, [a, r])
    case .task(let type): write(6, nil, [type])
    case .asyncTask(let type): write(7, nil, [type])
    }
    return writer.bytes
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    var reader = ReferenceReader(bytes)
    guard let tag = reader.byte() else { return nil }
    var closure = ClosureReference(offset: 0)
    if tag <= 5 {
      guard let offset = reader.number() else { return nil }
      closure = ClosureReference(offset: offset)
    }
    guard let first = TypeReference(from: &reader) else { return nil }
    func next() -> TypeReference? { TypeReference(from: &reader) }
    switch tag {
    case 0: self = .closure0(closure, first)
    case 6: self = .task(first)
    case 7: self = .asyncTask(first)
    default:
      guard let second = next() else { return nil }
      switch tag {
      case 1: self = .closure1(closure, first, second)
      case 2:
        guard let third = next() else { return nil }
        self = .closure2(closure, first, second, third)
      case 3: self = .asyncClosure1(closure, first, second)
      case 4: self = .chunk(closure, first, second)
      case 5: self = .each(closure, first, second)
      default: return nil
      }
    }
  }
}
#endif
