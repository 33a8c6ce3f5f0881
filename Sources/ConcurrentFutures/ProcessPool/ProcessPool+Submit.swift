#if os(Linux) || os(macOS)
extension ProcessPool {
  /// Runs a task in a worker.
  ///
  /// - Parameters:
  ///   - task: encoded before this returns.
  ///   - timeout: how long it may run, counted from the start of its execution; then it is stopped, and its future fails with
  ///     ``TimeoutError``. nil for no limit.
  ///   - retries: how often it is run again when its worker dies. A task that throws is not run again.
  /// - Returns: the future of the output. It fails with the error that the task threw if that is `Codable`, else with
  ///   ``RemoteError``; with ``WorkerTerminatedError``, ``TaskEncodingError``, ``BrokenExecutorError``, ``ExecutorShutDownError``.
  @discardableResult
  public func submit<T: ProcessTask>(_ task: T, timeout: Duration? = nil, retries: Int = 0) -> Future<T.Output> {
    submit(timeout, retries) { () throws(TaskEncodingError) in (try FunctionRegistry.task(T.self), try encode(task)) }
  }

  /// Runs an asynchronous task in a worker, in all else as a ``ProcessTask``.
  @discardableResult
  public func submit<T: AsyncProcessTask>(_ task: T, timeout: Duration? = nil, retries: Int = 0) -> Future<T.Output> {
    submit(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.asyncTask(T.self), try encode(task))
    }
  }

  /// Runs a closure in a worker, with an argument.
  ///
  /// - Parameters:
  ///   - argument: encoded before this returns.
  ///   - timeout: how long it may run, counted from the start of its execution.
  ///   - retries: how often it is run again when its worker dies.
  ///   - body: must capture nothing, which is found out here: the future then fails with ``TaskEncodingError``.
  /// - Returns: the future of the result.
  @discardableResult
  public func submit<A: Codable & Sendable, R: Codable & Sendable>(
    _ argument: A, timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable (A) throws -> R
  ) -> Future<R> {
    submit(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.closure1(body), try encode(argument))
    }
  }

  /// Runs an asynchronous closure in a worker, with an argument. The closure must capture nothing.
  @discardableResult
  public func submit<A: Codable & Sendable, R: Codable & Sendable>(
    _ argument: A, timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable (A) async throws -> R
  ) -> Future<R> {
    submit(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.asyncClosure1(body), try encode(argument))
    }
  }

  /// Runs a closure in a worker. It must capture nothing.
  @discardableResult
  public func submit<R: Codable & Sendable>(
    timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable () throws -> R
  ) -> Future<R> {
    submit(timeout, retries) { () throws(TaskEncodingError) in (try FunctionRegistry.closure0(body), nil) }
  }

  /// Runs a closure in a worker, with two arguments. It must capture nothing.
  @discardableResult
  public func submit<A: Codable & Sendable, B: Codable & Sendable, R: Codable & Sendable>(
    _ first: A, _ second: B, timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable (A, B) throws -> R
  ) -> Future<R> {
    submit(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.closure2(body), try encode(Arguments2(first, second)))
    }
  }

  // MARK: closures without a result, as `Void` is not Codable

  /// Runs a closure without a result in a worker, with an argument. It must capture nothing.
  @discardableResult
  public func submit<A: Codable & Sendable>(
    _ argument: A, timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable (A) throws -> Void
  ) -> Future<Void> {
    submitVoid(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.closure1(void: body), try encode(argument))
    }
  }

  /// Runs an asynchronous closure without a result in a worker, with an argument. It must capture nothing.
  @discardableResult
  public func submit<A: Codable & Sendable>(
    _ argument: A, timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable (A) async throws -> Void
  ) -> Future<Void> {
    submitVoid(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.asyncClosure1(void: body), try encode(argument))
    }
  }

  /// Runs a closure without a result in a worker. It must capture nothing.
  @discardableResult
  public func submit(
    timeout: Duration? = nil, retries: Int = 0, _ body: @escaping @Sendable () throws -> Void
  ) -> Future<Void> {
    submitVoid(timeout, retries) { () throws(TaskEncodingError) in (try FunctionRegistry.closure0(void: body), nil) }
  }

  /// Runs a closure without a result in a worker, with two arguments. It must capture nothing.
  @discardableResult
  public func submit<A: Codable & Sendable, B: Codable & Sendable>(
    _ first: A, _ second: B, timeout: Duration? = nil, retries: Int = 0,
    _ body: @escaping @Sendable (A, B) throws -> Void
  ) -> Future<Void> {
    submitVoid(timeout, retries) { () throws(TaskEncodingError) in
      (try FunctionRegistry.closure2(void: body), try encode(Arguments2(first, second)))
    }
  }

  /// Runs a task in a worker and waits for it. When the waiting Task is cancelled, the work is stopped.
  public func run<T: ProcessTask>(_ task: T, timeout: Duration? = nil) async throws -> T.Output {
    try await owned(submit(task, timeout: timeout))
  }

  /// Runs an asynchronous task in a worker and waits for it. When the waiting Task is cancelled, the work is stopped.
  public func run<T: AsyncProcessTask>(_ task: T, timeout: Duration? = nil) async throws -> T.Output {
    try await owned(submit(task, timeout: timeout))
  }

  /// Runs a closure in a worker and waits for it. When the waiting Task is cancelled, the work is stopped.
  public func run<A: Codable & Sendable, R: Codable & Sendable>(
    _ argument: A, timeout: Duration? = nil, _ body: @escaping @Sendable (A) throws -> R
  ) async throws -> R {
    try await owned(submit(argument, timeout: timeout, body))
  }

  private nonisolated(nonsending) func owned<R>(_ future: Future<R>) async throws -> R {
    try await withTaskCancellationHandler {
      try await future.value
    } onCancel: {
      future.cancel()
    }
  }

  // MARK: the common way

  func encode<T: Encodable>(_ value: T) throws(TaskEncodingError) -> OutgoingPayload {
    do { return try PayloadCoder.shared.encodePayload(value) } catch {
      throw TaskEncodingError(.argument, describe(error), underlyingError: error)
    }
  }

  func submit<R: Codable & Sendable>(
    _ timeout: Duration?, _ retries: Int,
    _ make: () throws(TaskEncodingError) -> (FunctionDefinition, OutgoingPayload?)
  ) -> Future<R> {
    submit(timeout, retries, make) { (received: R) in received }
  }

  private func submitVoid(
    _ timeout: Duration?, _ retries: Int,
    _ make: () throws(TaskEncodingError) -> (FunctionDefinition, OutgoingPayload?)
  ) -> Future<Void> {
    submit(timeout, retries, make) { (_: Nothing) in () }
  }

  private func submit<Received: Codable & Sendable, Output: Sendable>(
    _ timeout: Duration?, _ retries: Int,
    _ make: () throws(TaskEncodingError) -> (FunctionDefinition, OutgoingPayload?),
    unpack: @escaping @Sendable (Received) -> Output
  ) -> Future<Output> {
    require(retries >= 0, "retries must not be negative")
    let function: FunctionDefinition
    let payload: OutgoingPayload?
    do { (function, payload) = try make() } catch { return .failed(error) }
    let work = TypedProcessWork(function, payload, timeout: timeout, pool: core, unpack: unpack)
    let future = work.makeFuture()
    core.submit(work, retries: retries)
    return future
  }
}

/// Makes a pool for the time of `body`, and shuts it down when `body` returns or throws.
///
/// When `body` returns, what it submitted is waited for; when it throws, what has not started is cancelled.
public nonisolated(nonsending) func withProcessPool<R>(
  maxWorkers: Int = ProcessPool.defaultMaxWorkers, _ body: (ProcessPool) async throws -> R
) async throws -> R {
  let pool = ProcessPool(maxWorkers: maxWorkers)
  do {
    let result = try await body(pool)
    await pool.shutdown()
    return result
  } catch {
    await pool.shutdown(cancelPending: true)
    throw error
  }
}
#endif
