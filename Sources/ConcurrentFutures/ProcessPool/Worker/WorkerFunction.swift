#if os(Linux) || os(macOS)
import Synchronization

/// How the run of a function in the worker ended.
enum WorkerOutcome {
  case returned(EncodedMessage)
  case threw(any Error)
  case refused(TaskEncodingError.Subject, String)
}

/// A function that is ready to run in the worker.
protocol WorkerFunction {
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome
}

extension FunctionReference {
  /// The function in this process; nil if its types do not exist here.
  func workerFunction() -> (any WorkerFunction)? {
    switch self {
    case .closure0(let closure, let result):
      guard let result = result.codable else { return nil }
      if result == Nothing.self {
        let body = closure.closure(VoidClosure0.self).call
        return Call0 { try Nothing(after: body()) }
      }
      func make<R: Codable>(_ result: R.Type) -> any WorkerFunction {
        Call0(body: closure.closure(Closure0<R>.self).call)
      }
      return make(result)
    case .closure1(let closure, let argument, let result):
      return Self.pair(argument, result) { Maker1(closure: closure, argument: $0) }
    case .asyncClosure1(let closure, let argument, let result):
      return Self.pair(argument, result) { MakerAsync(closure: closure, argument: $0) }
    case .chunk(let closure, let argument, let result):
      return Self.pair(argument, result) { MakerChunk(closure: closure, argument: $0) }
    case .closure2(let closure, let first, let second, let result):
      guard let second = second.codable else { return nil }
      return Self.pair(first, result) { Maker2(closure: closure, first: $0, second: second) }
    case .task(let type):
      guard let type = type.type as? any ProcessTask.Type else { return nil }
      func make<T: ProcessTask>(_ type: T.Type) -> any WorkerFunction { CallTask<T>() }
      return make(type)
    case .asyncTask(let type):
      guard let type = type.type as? any AsyncProcessTask.Type else { return nil }
      func make<T: AsyncProcessTask>(_ type: T.Type) -> any WorkerFunction { CallAsyncTask<T>() }
      return make(type)
    }
  }

  private static func pair(
    _ argument: TypeReference, _ result: TypeReference, _ maker: (any Codable.Type) -> any FunctionMaker
  ) -> (any WorkerFunction)? {
    guard let argument = argument.codable, let result = result.codable else { return nil }
    return maker(argument).make(result)
  }
}

extension TypeReference {
  /// `Sendable` is a promise to the compiler with nothing to look up at run time; the parent's compiler has seen it kept.
  var codable: (any Codable.Type)? { type as? any Codable.Type }
}

/// Opens the existential types one after the other.
private protocol FunctionMaker {
  func make(_ result: any Codable.Type) -> any WorkerFunction
}

private struct Maker1: FunctionMaker {
  let closure: ClosureReference
  let argument: any Codable.Type
  func make(_ result: any Codable.Type) -> any WorkerFunction {
    func open<A: Codable>(_ a: A.Type) -> any WorkerFunction {
      if result == Nothing.self {
        let body = closure.closure(VoidClosure1<A>.self).call
        return Call1<A, Nothing> { try Nothing(after: body($0)) }
      }
      func both<R: Codable>(_ r: R.Type) -> any WorkerFunction {
        Call1(body: closure.closure(Closure1<A, R>.self).call)
      }
      return both(result)
    }
    return open(argument)
  }
}

private struct MakerAsync: FunctionMaker {
  let closure: ClosureReference
  let argument: any Codable.Type
  func make(_ result: any Codable.Type) -> any WorkerFunction {
    func open<A: Codable>(_ a: A.Type) -> any WorkerFunction {
      if result == Nothing.self {
        let body = closure.closure(VoidAsyncClosure1<A>.self).call
        return CallAsync<A, Nothing> { try await Nothing(after: body($0)) }
      }
      func both<R: Codable>(_ r: R.Type) -> any WorkerFunction {
        CallAsync(body: closure.closure(AsyncClosure1<A, R>.self).call)
      }
      return both(result)
    }
    return open(argument)
  }
}

private struct MakerChunk: FunctionMaker {
  let closure: ClosureReference
  let argument: any Codable.Type
  func make(_ result: any Codable.Type) -> any WorkerFunction {
    func open<A: Codable>(_ a: A.Type) -> any WorkerFunction {
      if result == Nothing.self {
        let body = closure.closure(VoidClosure1<A>.self).call
        return Call1<[A], [Nothing]> { elements in try elements.map { try Nothing(after: body($0)) } }
      }
      func both<R: Codable>(_ r: R.Type) -> any WorkerFunction {
        let body = closure.closure(Closure1<A, R>.self).call
        return Call1<[A], [R]> { elements in try elements.map(body) }
      }
      return both(result)
    }
    return open(argument)
  }
}

private struct Maker2: FunctionMaker {
  let closure: ClosureReference
  let first: any Codable.Type
  let second: any Codable.Type
  func make(_ result: any Codable.Type) -> any WorkerFunction {
    func open<A: Codable>(_ a: A.Type) -> any WorkerFunction {
      func two<B: Codable>(_ b: B.Type) -> any WorkerFunction {
        if result == Nothing.self {
          let body = closure.closure(VoidClosure2<A, B>.self).call
          return Call1<Arguments2<A, B>, Nothing> { try Nothing(after: body($0.first, $0.second)) }
        }
        func all<R: Codable>(_ r: R.Type) -> any WorkerFunction {
          let body = closure.closure(Closure2<A, B, R>.self).call
          return Call1<Arguments2<A, B>, R> { try body($0.first, $0.second) }
        }
        return all(result)
      }
      return two(second)
    }
    return open(first)
  }
}

/// The arguments of a closure that has two.
struct Arguments2<A: Codable, B: Codable>: Codable {
  let first: A
  let second: B

  init(_ first: A, _ second: B) {
    self.first = first
    self.second = second
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    try container.encode(first)
    try container.encode(second)
  }

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    first = try container.decode(A.self)
    second = try container.decode(B.self)
  }
}

/// The result of a closure that has none: `Void` is not Codable.
struct Nothing: Codable, Sendable {
  init(after: Void) {}
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(true)
  }
  init(from decoder: any Decoder) throws {}
}

// MARK: the calls

private func finish<R: Encodable>(_ coder: PayloadCoder, _ body: () throws -> R) -> WorkerOutcome {
  let result: R
  do { result = try body() } catch { return .threw(error) }
  do { return .returned(try coder.encode(result)) } catch { return .refused(.result, describe(error)) }
}

private func finishAsync<R: Encodable>(_ coder: PayloadCoder, _ body: @escaping () async throws -> R) -> WorkerOutcome {
  finish(coder) {
    var result: Result<R, any Error>?
    WorkerTask.run {
      do { result = .success(try await body()) } catch { result = .failure(error) }
    }
    return try result!.get()
  }
}

private struct Call0<R: Codable>: WorkerFunction {
  let body: () throws -> R
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome { finish(coder, body) }
}

private struct Call1<A: Codable, R: Codable>: WorkerFunction {
  let body: (A) throws -> R
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome {
    let argument: A
    do { argument = try coder.decode(A.self, from: payload) } catch { return .refused(.argument, describe(error)) }
    return finish(coder) { try body(argument) }
  }
}

private struct CallTask<T: ProcessTask>: WorkerFunction {
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome {
    let task: T
    do { task = try coder.decode(T.self, from: payload) } catch { return .refused(.argument, describe(error)) }
    return finish(coder) { try task.run() }
  }
}

private struct CallAsync<A: Codable, R: Codable>: WorkerFunction {
  let body: (A) async throws -> R
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome {
    let argument: A
    do { argument = try coder.decode(A.self, from: payload) } catch { return .refused(.argument, describe(error)) }
    let body = body
    return finishAsync(coder) { try await body(argument) }
  }
}

private struct CallAsyncTask<T: AsyncProcessTask>: WorkerFunction {
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome {
    let task: T
    do { task = try coder.decode(T.self, from: payload) } catch { return .refused(.argument, describe(error)) }
    return finishAsync(coder) { try await task.run() }
  }
}
#endif
