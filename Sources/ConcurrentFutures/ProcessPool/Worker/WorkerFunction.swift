#if os(Linux) || os(macOS)
import CProcessSupport
import Synchronization

/// How the run of a function in the worker ended.
enum WorkerOutcome {
  case returned(OutgoingPayload)
  case threw(any Error)
  case refused(TaskEncodingError.Subject, String)
  /// The rest of a chunk has not begun.
  case handedBack
}

/// A function that is ready to run in the worker.
protocol WorkerFunction {
  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome
  /// The same for a function that has more than one answer; it returns the last.
  func run(
    _ payload: borrowing IncomingPayload, _ coder: PayloadCoder, _ listener: some PartialListener
  ) -> WorkerOutcome
}

extension WorkerFunction {
  func run(
    _ payload: borrowing IncomingPayload, _ coder: PayloadCoder, _ listener: some PartialListener
  ) -> WorkerOutcome {
    run(payload, coder)
  }
}

/// What is told of a chunk while it runs.
protocol PartialListener {
  /// Its elements are decoded, and will run.
  func unpacked()
  /// An element has ended, and so many follow. False: not here, for the chunk has taken long.
  func ended(_ outcome: WorkerOutcome, toCome: Int) -> Bool
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
      return MakeCall1(closure: closure).make(argument, result)
    case .asyncClosure1(let closure, let argument, let result):
      return MakeCallAsync(closure: closure).make(argument, result)
    case .chunk(let closure, let argument, let result):
      return MakeCallOfChunk(closure: closure).make(argument, result)
    case .each(let closure, let argument, let result):
      return MakeCallOfEach(closure: closure).make(argument, result)
    case .closure2(let closure, let first, let second, let result):
      guard let second = second.codable else { return nil }
      func make<B: Codable>(_ second: B.Type) -> (any WorkerFunction)? {
        MakeCall2<B>(closure: closure).make(first, result)
      }
      return make(second)
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
}

extension TypeReference {
  /// `Sendable` is a promise to the compiler with nothing to look up at run time; the parent's compiler has seen it kept.
  var codable: (any Codable.Type)? { type as? any Codable.Type }
}

/// Makes a call when its types are known: a closure without a result is another kind of function than one with.
private protocol CallMaker {
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction
}

extension CallMaker {
  /// Opens the existential types one after the other; nil if they do not exist here.
  func make(_ argument: TypeReference, _ result: TypeReference) -> (any WorkerFunction)? {
    guard let argument = argument.codable, let result = result.codable else { return nil }
    func open<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
      func openBoth<R: Codable>(_ result: R.Type) -> any WorkerFunction { make(argument, result) }
      return result == Nothing.self ? makeVoid(argument) : openBoth(result)
    }
    return open(argument)
  }
}

private struct MakeCall1: CallMaker {
  let closure: ClosureReference
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
    let body = closure.closure(VoidClosure1<A>.self).call
    return Call1<A, Nothing> { try Nothing(after: body($0)) }
  }
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction {
    Call1(body: closure.closure(Closure1<A, R>.self).call)
  }
}

private struct MakeCallAsync: CallMaker {
  let closure: ClosureReference
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
    let body = closure.closure(VoidAsyncClosure1<A>.self).call
    return CallAsync<A, Nothing> { try await Nothing(after: body($0)) }
  }
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction {
    CallAsync(body: closure.closure(AsyncClosure1<A, R>.self).call)
  }
}

private struct MakeCallOfChunk: CallMaker {
  let closure: ClosureReference
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
    let body = closure.closure(VoidClosure1<A>.self).call
    return Call1<[A], [Nothing]> { try runChunk($0) { try Nothing(after: body($0)) } }
  }
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction {
    let body = closure.closure(Closure1<A, R>.self).call
    return Call1<[A], [R]> { try runChunk($0, body) }
  }
}

/// One element after the other. When the parent has asked for a stop, which is for this chunk, those that have not begun do not.
private func runChunk<A, R>(_ elements: [A], _ body: (A) throws -> R) throws -> [R] {
  try elements.map { element in
    if WorkerProcess.isStopRequested {
      cp_flush()
      cp_exit(0)
    }
    return try body(element)
  }
}

private struct MakeCallOfEach: CallMaker {
  let closure: ClosureReference
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
    let body = closure.closure(VoidClosure1<A>.self).call
    return CallEach<A, Nothing> { try Nothing(after: body($0)) }
  }
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction {
    CallEach(body: closure.closure(Closure1<A, R>.self).call)
  }
}

private struct MakeCall2<B: Codable>: CallMaker {
  let closure: ClosureReference
  func makeVoid<A: Codable>(_ argument: A.Type) -> any WorkerFunction {
    let body = closure.closure(VoidClosure2<A, B>.self).call
    return Call1<Arguments2<A, B>, Nothing> { try Nothing(after: body($0.first, $0.second)) }
  }
  func make<A: Codable, R: Codable>(_ argument: A.Type, _ result: R.Type) -> any WorkerFunction {
    let body = closure.closure(Closure2<A, B, R>.self).call
    return Call1<Arguments2<A, B>, R> { try body($0.first, $0.second) }
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
  do { return .returned(try coder.encodePayload(result)) } catch { return .refused(.result, describe(error)) }
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

private struct CallEach<A: Codable, R: Codable>: WorkerFunction {
  let body: (A) throws -> R

  func run(_ payload: borrowing IncomingPayload, _ coder: PayloadCoder) -> WorkerOutcome {
    .refused(.argument, "a chunk of elements has an answer for each")
  }

  func run(
    _ payload: borrowing IncomingPayload, _ coder: PayloadCoder, _ listener: some PartialListener
  ) -> WorkerOutcome {
    let elements: [A]
    do { elements = try coder.decode([A].self, from: payload) } catch { return .refused(.argument, describe(error)) }
    if elements.isEmpty { return .refused(.argument, "the chunk has no elements") }
    listener.unpacked()
    let last = elements.count - 1
    for index in 0..<last {
      let outcome = finish(coder) { try body(elements[index]) }
      if !listener.ended(outcome, toCome: last - index) { return .handedBack }
    }
    return finish(coder) { try body(elements[last]) }
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
