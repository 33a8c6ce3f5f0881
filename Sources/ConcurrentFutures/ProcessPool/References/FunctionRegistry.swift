#if os(Linux) || os(macOS)
import Synchronization

/// A function that was submitted: what workers are told of it once, and its number in later frames.
final class FunctionDefinition: Sendable {
  let number: UInt32
  let bytes: [UInt8]
  /// For messages to people.
  let name: String
  /// What is named by an address or by a place in the image, which only the same build of the program shares.
  let boundToBuild: TaskEncodingError.Subject?

  init(number: UInt32, _ reference: FunctionReference, name: String) {
    self.number = number
    self.bytes = reference.bytes
    self.name = name
    boundToBuild = reference.boundToBuild
  }
}

/// The functions that this process has submitted, found by what identifies them here: resolving names and images is slow, and a
/// program submits the same few functions again and again.
enum FunctionRegistry {
  struct Key: Hashable {
    enum Kind: UInt8 { case closure0, closure1, closure2, asyncClosure1, chunk, each, task, asyncTask }
    let kind: Kind
    let code: UInt
    let first: ObjectIdentifier
    var second: ObjectIdentifier?
    var third: ObjectIdentifier?
  }

  private static let known = AdaptivelyLocked<[Key: FunctionDefinition]>([:])
  /// The last function that was looked up: most programs submit one at a time.
  private static let last = AdaptivelyLocked<(Key, FunctionDefinition)?>(nil)

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
        let made = FunctionDefinition(number: UInt32(known.count), reference, name: name)
        known[key] = made
        return made
      }
    }
    last.withLock { $0 = (key, found) }
    return found
  }

  // MARK: closures and tasks

  static func closure0<R>(_ body: @escaping @Sendable () throws -> R) throws(TaskEncodingError) -> FunctionDefinition {
    try closure0(Closure0(call: body), R.self)
  }

  static func closure0(void body: @escaping @Sendable () throws -> Void) throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure0(VoidClosure0(call: body), Nothing.self)
  }

  private static func closure0<Box, R>(_ box: Box, _ result: R.Type) throws(TaskEncodingError) -> FunctionDefinition {
    let key = Key(kind: .closure0, code: try code(of: box), first: ObjectIdentifier(result))
    return try definition(key) { () throws(TaskEncodingError) in
      (.closure0(try reference(to: box), try type(result, .result)), "a closure () -> \(name(result))")
    }
  }

  static func closure1<A, R>(_ body: @escaping @Sendable (A) throws -> R, _ kind: Key.Kind = .closure1)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure1(Closure1(call: body), kind, A.self, R.self)
  }

  static func closure1<A>(void body: @escaping @Sendable (A) throws -> Void, _ kind: Key.Kind = .closure1)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure1(VoidClosure1(call: body), kind, A.self, Nothing.self)
  }

  static func asyncClosure1<A, R>(_ body: @escaping @Sendable (A) async throws -> R)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure1(AsyncClosure1(call: body), .asyncClosure1, A.self, R.self)
  }

  static func asyncClosure1<A>(void body: @escaping @Sendable (A) async throws -> Void)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure1(VoidAsyncClosure1(call: body), .asyncClosure1, A.self, Nothing.self)
  }

  private static func closure1<Box, A, R>(_ box: Box, _ kind: Key.Kind, _ argument: A.Type, _ result: R.Type)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    let key = Key(
      kind: kind, code: try code(of: box), first: ObjectIdentifier(argument), second: ObjectIdentifier(result))
    return try definition(key) { () throws(TaskEncodingError) in
      let closure = try reference(to: box)
      let argumentType = try type(argument, .argument)
      let resultType = try type(result, .result)
      let name = "a closure (\(argument)) -> \(name(result))"
      switch kind {
      case .chunk: return (.chunk(closure, argumentType, resultType), name)
      case .each: return (.each(closure, argumentType, resultType), name)
      case .asyncClosure1: return (.asyncClosure1(closure, argumentType, resultType), name)
      default: return (.closure1(closure, argumentType, resultType), name)
      }
    }
  }

  static func closure2<A, B, R>(_ body: @escaping @Sendable (A, B) throws -> R)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure2(Closure2(call: body), A.self, B.self, R.self)
  }

  static func closure2<A, B>(void body: @escaping @Sendable (A, B) throws -> Void)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    try closure2(VoidClosure2(call: body), A.self, B.self, Nothing.self)
  }

  private static func closure2<Box, A, B, R>(_ box: Box, _ first: A.Type, _ second: B.Type, _ result: R.Type)
    throws(TaskEncodingError) -> FunctionDefinition
  {
    let key = Key(
      kind: .closure2, code: try code(of: box), first: ObjectIdentifier(first), second: ObjectIdentifier(second),
      third: ObjectIdentifier(result))
    return try definition(key) { () throws(TaskEncodingError) in
      let closure = try reference(to: box)
      let firstType = try type(first, .argument)
      let secondType = try type(second, .argument)
      let name = "a closure (\(first), \(second)) -> \(name(result))"
      return (.closure2(closure, firstType, secondType, try type(result, .result)), name)
    }
  }

  private static func name(_ result: Any.Type) -> String { result == Nothing.self ? "Void" : "\(result)" }

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
    let words = unsafeBitCast(box, to: ClosureWords.self)
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

  private static func type(_ type: Any.Type, _ subject: TaskEncodingError.Subject) throws(TaskEncodingError)
    -> TypeReference
  {
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
  /// What it names by an address or by a place in the image: the closure, or a task's type.
  var boundToBuild: TaskEncodingError.Subject? {
    switch self {
    case .task(let type), .asyncTask(let type): type.needsSameBuild ? .argument : nil
    default: .closure
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
#endif
