import Synchronization

/// A function that was submitted: what workers are told of it once, and its number in later frames.
final class FunctionDefinition: Sendable {
  let number: UInt32
  let bytes: [UInt8]
  /// For messages to people.
  let name: String
  /// It is named by an address or by a place in the image, which only the same build of the program shares.
  let needsSameBuild: Bool

  init(number: UInt32, _ reference: FunctionReference, name: String, needsSameBuild: Bool) {
    self.number = number
    self.bytes = reference.bytes
    self.name = name
    self.needsSameBuild = needsSameBuild
  }
}

/// The functions that this process has submitted, found by what identifies them here: resolving names and images is slow, and a
/// program submits the same few functions again and again.
enum FunctionRegistry {
  struct Key: Hashable {
    enum Kind: UInt8 { case closure0, closure1, closure2, asyncClosure1, chunk, chunkOfResults, task, asyncTask }
    let kind: Kind
    let code: UInt
    let first: ObjectIdentifier
    var second: ObjectIdentifier?
    var third: ObjectIdentifier?
  }

  private static let known = Mutex<[Key: FunctionDefinition]>([:])
  /// The last function that was looked up: most programs submit one at a time.
  private static let last = Mutex<(Key, FunctionDefinition)?>(nil)

  static func definition(_ key: Key, make: () throws(TaskEncodingError) -> (FunctionReference, name: String))
    throws(TaskEncodingError) -> FunctionDefinition
  {
    if let found = last.withLock({ $0?.0 == key ? $0?.1 : nil }) { return found }
    let found: FunctionDefinition
    if let earlier = known.withLock({ $0[key] }) {
      found = earlier
    } else {
      let (reference, name) = try make()
      found = known.withLock { known in
        if let other = known[key] { return other }
        let made = FunctionDefinition(
          number: UInt32(known.count), reference, name: name, needsSameBuild: reference.needsSameBuild)
        known[key] = made
        return made
      }
    }
    last.withLock { $0 = (key, found) }
    return found
  }

  // MARK: closures and tasks

  static func closure0<R>(_ body: @escaping @Sendable () throws -> R) throws(TaskEncodingError) -> FunctionDefinition {
    let box = Closure0(call: body)
    let key = Key(kind: .closure0, code: try code(of: box), first: ObjectIdentifier(R.self))
    return try definition(key) { () throws(TaskEncodingError) in
      (.closure0(try reference(to: box), try type(R.self, .result)), "a closure () -> \(R.self)")
    }
  }

  static func closure1<A, R>(_ body: @escaping @Sendable (A) throws -> R, _ kind: Key.Kind = .closure1)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    let box = Closure1(call: body)
    let key = Key(
      kind: kind, code: try code(of: box), first: ObjectIdentifier(A.self), second: ObjectIdentifier(R.self))
    return try definition(key) { () throws(TaskEncodingError) in
      let closure = try reference(to: box)
      let argument = try type(A.self, .argument)
      let result = try type(R.self, .result)
      let name = "a closure (\(A.self)) -> \(R.self)"
      switch kind {
      case .chunk: return (.chunk(closure, argument, result), name)
      case .chunkOfResults: return (.chunkOfResults(closure, argument, result), name)
      default: return (.closure1(closure, argument, result), name)
      }
    }
  }

  static func closure2<A, B, R>(_ body: @escaping @Sendable (A, B) throws -> R)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    let box = Closure2(call: body)
    let key = Key(
      kind: .closure2, code: try code(of: box), first: ObjectIdentifier(A.self), second: ObjectIdentifier(B.self),
      third: ObjectIdentifier(R.self))
    return try definition(key) { () throws(TaskEncodingError) in
      let closure = try reference(to: box)
      let first = try type(A.self, .argument)
      let second = try type(B.self, .argument)
      return (.closure2(closure, first, second, try type(R.self, .result)), "a closure (\(A.self), \(B.self)) -> \(R.self)")
    }
  }

  static func asyncClosure1<A, R>(_ body: @escaping @Sendable (A) async throws -> R)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    let box = AsyncClosure1(call: body)
    let key = Key(
      kind: .asyncClosure1, code: try code(of: box), first: ObjectIdentifier(A.self), second: ObjectIdentifier(R.self))
    return try definition(key) { () throws(TaskEncodingError) in
      let closure = try reference(to: box)
      let argument = try type(A.self, .argument)
      return (.asyncClosure1(closure, argument, try type(R.self, .result)), "a closure (\(A.self)) async -> \(R.self)")
    }
  }

  static func task<T: ProcessTask>(_ task: T.Type) throws(TaskEncodingError) -> FunctionDefinition {
    try definition(Key(kind: .task, code: 0, first: ObjectIdentifier(task))) { () throws(TaskEncodingError) in
      (.task(try type(task, .argument)), "\(task)")
    }
  }

  static func asyncTask<T: AsyncProcessTask>(_ task: T.Type) throws(TaskEncodingError) -> FunctionDefinition {
    try definition(Key(kind: .asyncTask, code: 0, first: ObjectIdentifier(task))) { () throws(TaskEncodingError) in
      (.asyncTask(try type(task, .argument)), "\(task)")
    }
  }

  // MARK: refusals

  private static func code<Box>(of box: Box) throws(TaskEncodingError) -> UInt {
    let words = unsafeBitCast(box, to: (code: UInt, context: UInt).self)
    guard words.context == 0 else {
      throw TaskEncodingError(
        .closure,
        "it captures something, is a reference to a function, or stands in generic code. Capture nothing, pass values as "
          + "the argument instead, write `{ f($0) }` instead of `f`, or submit a ProcessTask")
    }
    return words.code
  }

  private static func reference<Box>(to box: Box) throws(TaskEncodingError) -> ClosureReference {
    guard let reference = ClosureReference(box) else {
      throw TaskEncodingError(
        .closure, "its code is in a library that is loaded apart from the program. Submit a ProcessTask instead")
    }
    return reference
  }

  private static func type(_ type: Any.Type, _ subject: TaskEncodingError.Subject) throws(TaskEncodingError) -> TypeReference {
    guard let reference = TypeReference(type) else {
      throw TaskEncodingError(
        subject,
        "another process cannot find the type \(type), as it is or contains a private or local generic type. Make that type "
          + "internal or public")
    }
    return reference
  }
}

extension FunctionReference {
  /// Whether it names something by an address or by a place in the image.
  var needsSameBuild: Bool {
    switch self {
    case .task(let type), .asyncTask(let type): type.needsSameBuild
    default: true
    }
  }
}

extension TypeReference {
  var needsSameBuild: Bool {
    switch self {
    case .named: false
    case .tabled: true
    case .array(let element), .optional(let element), .set(let element): element.needsSameBuild
    case .dictionary(let key, let value): key.needsSameBuild || value.needsSameBuild
    }
  }
}
