/// A pool of threads for work that blocks or computes, in programs that are synchronous, asynchronous or both.
///
/// ```swift
/// let bytes = try await ThreadPool.shared.run { try readWholeFile(path) }   // from asynchronous code
///
/// let pool = ThreadPool(maxWorkers: 8)
/// let future = pool.submit { try readWholeFile(path) }                      // from anywhere
/// let bytes = try future.wait()
/// ```
/// Swift's own pool has one thread for each core and never grows: blocking calls belong here.
///
/// - **Order.** First in, first out within a priority; higher priorities start first, without starving the lower ones. Work
///   that a worker submits to its own pool waits in that worker's queue, first in, first out, unless another worker takes it.
/// - **Threads** start on demand, are named after the pool, and go after a keep-alive without work. At most `maxWorkers`
///   work at once. One that blocks in ``Future/wait(timeout:)`` does not count: it runs what it waits for itself, or a spare
///   thread takes its place, so that waiting inside a worker never deadlocks, at any depth.
/// - **The end.** ``shutdown(cancelPending:)`` ends a pool; dropping the last reference does too, quietly: queued work is
///   still done. A program ends when its `main` does, whatever its pools are doing: running work is cut off and queued work
///   never starts, so wait for what matters.
/// - **Errors.** `submit` never throws and never blocks; what goes wrong is in the future: ``ExecutorShutDownError``,
///   ``BrokenExecutorError``, ``QueueFullError``.
public final class ThreadPool: Sendable {
  let core: PoolCore

  /// The most workers that a pool can have: what Dispatch gives a whole process.
  public static var maxWorkersLimit: Int { PoolCore.dispatchThreadLimit }

  /// Workers of a pool that is not told otherwise: four more than the processors that this process may use by its affinity
  /// and its control group, since the work is expected to block; at most 32. As Python's default.
  public static let defaultMaxWorkers = min(32, CPUCount.available + 4)

  /// The pool of the whole process, for the many places that need to get a blocking call out of the way. Never shut down.
  public static let shared = ThreadPool(name: "shared")

  /// A pool without threads as yet.
  ///
  /// - Parameters:
  ///   - maxWorkers: how many tasks may run at once, from 1 to ``maxWorkersLimit``.
  ///   - name: names the threads, with a number; Linux shows 15 bytes.
  ///   - queueLimit: how much may wait, and what happens to what finds no room.
  ///   - keepAlive: how long a thread stays without work.
  ///   - initializer: runs first on each new thread. If it throws, the pool is broken: all that is queued or submitted later
  ///     fails with ``BrokenExecutorError``.
  public init(
    maxWorkers: Int = ThreadPool.defaultMaxWorkers, name: String = "ThreadPool", queueLimit: QueueLimit,
    keepAlive: Duration = .seconds(10), initializer: (@Sendable () throws -> Void)? = nil
  ) {
    require(maxWorkers > 0, "maxWorkers must be greater than 0, not \(maxWorkers)")
    require(
      maxWorkers <= Self.maxWorkersLimit,
      "maxWorkers must be at most \(Self.maxWorkersLimit), the number of threads that Dispatch gives a process, not \(maxWorkers)"
    )
    require(keepAlive >= .zero, "keepAlive must not be negative")
    core = PoolCore(name: name, maximum: maxWorkers, limit: queueLimit, keepAlive: keepAlive, initializer: initializer)
  }

  /// A pool without threads as yet, whose queue has no limit.
  public convenience init(
    maxWorkers: Int = ThreadPool.defaultMaxWorkers, name: String = "ThreadPool",
    initializer: (@Sendable () throws -> Void)? = nil
  ) {
    self.init(maxWorkers: maxWorkers, name: name, queueLimit: .unlimited, initializer: initializer)
  }

  init(core: PoolCore) { self.core = core }

  deinit { core.beginShutdown(cancelPending: false) }

  /// The pool's name.
  public var name: String { core.name }
  /// How many tasks may run at once.
  public var maxWorkers: Int { core.maximum }

  // MARK: submitting

  /// Runs a body on a worker.
  ///
  /// Never blocks (unless the queue is limited and set to) and never throws: what goes wrong is in the future. Cancelling
  /// the future keeps a body that has not started from starting; a running one is asked (``CurrentWork/isCancelled``).
  /// Task-local values are not carried over; ``run(_:)`` carries them. O(1).
  @inlinable @discardableResult
  public func submit<S: Sendable>(
    priority: TaskPriority = .medium, _ body: __owned @escaping @Sendable () throws -> S
  ) -> Future<S> {
    let future = Future<S>(body: consume body)
    enqueue(future, priority)
    return future
  }

  /// Runs a body on a worker, with medium priority; the form with a priority says the rest.
  @inlinable @discardableResult
  public func submit<S: Sendable>(_ body: __owned @escaping @Sendable () throws -> S) -> Future<S> {
    let future = Future<S>(body: consume body)
    enqueue(future)
    return future
  }

  @usableFromInline func enqueue(_ item: _PoolItem) { core.submitOrBlock(item, .medium) }

  @usableFromInline func enqueue(_ item: _PoolItem, _ priority: TaskPriority) {
    core.submitOrBlock(item, Lane(priority))
  }

  /// Runs an asynchronous body as a Task whose code runs on the pool's threads.
  ///
  /// It sees the caller's task-local values. While it is suspended it holds no thread. Cancelling the future keeps a body
  /// that has not started from starting, and cancels the Task of a running one; if that then throws `CancellationError`, the
  /// future counts as cancelled.
  @discardableResult
  public func submit<S: Sendable>(
    priority: TaskPriority = .medium, _ body: @escaping @Sendable () async throws -> S
  ) -> Future<S> {
    let producer = TaskProducer()
    let future = Future<S>(producer: producer)
    if let error = core.beginAsyncBody() {
      future.complete(with: .failure(error))
      return future
    }
    let core = core
    let poolBody = PoolBody(pool: core.identity)
    let task = PoolBody.$current.withValue(poolBody) {
      Task(executorPreference: core, priority: priority) {
        if !core.settle(future), future.start() == .run {
          do { future.complete(with: .success(try await body())) } catch { future.finish(throwing: error) }
        }
        core.endAsyncBody(poolBody)
      }
    }
    producer.run(task)
    return future
  }

  /// Runs a task that could also run in another process.
  @discardableResult public func submit<T: ProcessTask>(_ task: T) -> Future<T.Output> { submit { try task.run() } }

  /// Runs an asynchronous task that could also run in another process.
  @discardableResult public func submit<T: AsyncProcessTask>(_ task: T) -> Future<T.Output> {
    submit { () async throws -> T.Output in try await task.run() }
  }

  /// Submits a body once the pool's limited queue has room for it, and suspends until then.
  ///
  /// - Throws: `CancellationError` if the Task is cancelled while it waits; nothing is submitted then.
  public func submitWhenAccepted<S: Sendable>(
    priority: TaskPriority = .medium, _ body: @escaping @Sendable () throws -> S
  ) async throws -> Future<S> {
    try Task.checkCancellation()
    let admission = try await core.waitForPlace()
    let future = Future<S>(body: consume body)
    core.submit(future, priority: priority, admission)
    return future
  }

  /// Runs a blocking call on a worker and suspends until it has returned.
  ///
  /// The body runs as a part of the calling Task, or of one made from it: it sees its task-local values, its priority and its
  /// cancellation (`Task.isCancelled`, ``CurrentWork/isCancelled``). The caller's thread may look for the end of a short body for
  /// up to 50 µs before it goes on to other Tasks, while no other call is under way in this pool. If the Task is cancelled before
  /// the body has started, the body never runs and the call throws `CancellationError` at once.
  ///
  /// - Throws: what `body` throws, `CancellationError`, and the pool's own errors.
  public func run<S: Sendable>(_ body: @escaping @Sendable () throws -> S) async throws -> S {
    let waits = core.limit.isBounded && core.limit.whenFull != .reject
    let admission = waits ? try await core.waitForPlace() : .ifRoom
    let isAwaitedBriefly = core.briefWaits.begin()
    defer { core.briefWaits.end() }
    let call = BlockingCall(core, admission, isAwaitedBriefly: isAwaitedBriefly)
    if isAwaitedBriefly { return try await runInTaskOfItsOwn(call, body) }
    return try await withTaskCancellationHandler {
      try await withTaskExecutorPreference(call) { () throws -> S in
        try call.mayStart()
        return try body()
      }
    } onCancel: {
      call.cancel()
    }
  }

  /// In a Task of its own, whose end this thread can see without being suspended; what is left of `run` then goes on here. A child in
  /// a task group would be the same at three times the cost.
  private func runInTaskOfItsOwn<S: Sendable>(
    _ call: BlockingCall, _ body: @escaping @Sendable () throws -> S
  ) async throws -> S {
    if Task.isCancelled { call.cancel() }
    // By itself it would have the priority that the calling Task began with, whatever waits for that by now.
    let task = Task(executorPreference: call, priority: Task.currentPriority) {
      try call.mayStart()
      return try body()
    }
    return try await withTaskCancellationHandler {
      call.awaitBriefly()
      return try await task.value
    } onCancel: {
      call.cancel()
      task.cancel()
    }
  }

  // MARK: fork and join

  /// Runs `a` in this thread while `b` may be taken by another worker, and returns when both are done.
  ///
  /// The primitive of divide and conquer: on a worker of this pool a fork allocates nothing, and a `b` that nobody took is
  /// called like a function. Elsewhere `b` is submitted like other work. Both always end before the call does; if both
  /// throw, the error of `a` counts. After Cilk's spawn and Rayon's `join`.
  @inlinable public func join<A: Sendable, B: Sendable>(
    _ a: @Sendable () throws -> A, _ b: @Sendable () throws -> B
  ) rethrows -> (A, B) {
    nonisolated(unsafe) var first: Result<A, any Error>?
    nonisolated(unsafe) var second: Result<B, any Error>?
    fork({ first = Result { try a() } }, { second = Result { try b() } })
    return try rethrowing(first!, second!, a, b) { throw $0 }
  }

  @usableFromInline func fork(_ a: () -> Void, _ b: () -> Void) { core.join(a, b) }

  @inlinable func rethrowing<A, B>(
    _ first: Result<A, any Error>, _ second: Result<B, any Error>, _ a: () throws -> A, _ b: () throws -> B,
    _ rescue: (any Error) throws -> Never
  ) rethrows -> (A, B) {
    do {
      return (try first.get(), try second.get())
    } catch {
      try rescue(error)
    }
  }

  // MARK: the end

  /// Takes no more work and returns when all is done and the threads have left.
  ///
  /// Idempotent, and allowed anywhere: a task, or a callback on a worker, that shuts its own pool down waits for all the
  /// others. It waits to the end even if the Task is cancelled. Later submissions fail with ``ExecutorShutDownError``.
  ///
  /// - Parameter cancelPending: cancels what has not started, instead of doing it.
  public func shutdown(cancelPending: Bool = false) async {
    core.beginShutdown(cancelPending: cancelPending)
    await core.waitingForEnd()
  }

  /// As ``shutdown(cancelPending:)``, for synchronous code: blocks this thread.
  @available(*, noasync, message: "this blocks its thread; write `await pool.shutdown()`")
  public func shutdownAndWait(cancelPending: Bool = false) {
    core.beginShutdown(cancelPending: cancelPending)
    core.waitingForEnd { _ = $0.waitUntilDone(deadline: nil) }
  }

  // MARK: executors

  /// The pool as an executor of Tasks: code that prefers it runs on the pool's threads and may block.
  ///
  /// ```swift
  /// try await withTaskExecutorPreference(pool.taskExecutor) { ... }
  /// Task(executorPreference: pool.taskExecutor) { ... }
  /// ```
  /// Keep the pool alive meanwhile. Jobs that come after its end run on Swift's default executor.
  public var taskExecutor: any TaskExecutor { core }

  /// An executor for an actor that blocks: the actor's code runs on the pool's threads, one piece at a time.
  ///
  /// ```swift
  /// actor Database {
  ///   let executor = pool.makeSerialExecutor()
  ///   nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  /// }
  /// ```
  public func makeSerialExecutor() -> any SerialExecutor { PoolSerialExecutor(core) }
}

extension ThreadPool: CustomStringConvertible {
  /// Name and counts.
  public var description: String {
    let statistics = statistics
    return "ThreadPool(\(name): \(statistics.running) of \(maxWorkers) running, \(statistics.queued) queued)"
  }

  /// How busy a pool is.
  public struct Statistics: Sendable, Hashable {
    /// Threads that exist or were asked for.
    public let threads: Int
    /// Workers that run a task now.
    public let running: Int
    /// Tasks in the pool's queue. What workers keep in their own is not counted.
    public let queued: Int
  }

  /// How busy the pool is now. A snapshot: it may be over before it is read.
  public var statistics: Statistics {
    core.withState { Statistics(threads: $0.live, running: max(0, $0.runningCount), queued: $0.queue.count) }
  }
}

/// Makes a thread pool, passes it to `body`, and shuts it down when `body` has ended, having waited for all its work.
public nonisolated(nonsending) func withThreadPool<R>(
  maxWorkers: Int = ThreadPool.defaultMaxWorkers, _ body: (ThreadPool) async throws -> R
) async rethrows -> R {
  let pool = ThreadPool(maxWorkers: maxWorkers)
  do {
    let result = try await body(pool)
    await pool.shutdown()
    return result
  } catch {
    await pool.shutdown()
    throw error
  }
}
