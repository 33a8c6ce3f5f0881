#if os(Linux) || os(macOS)
/// Runs work in other processes of the same program: a crash, a hang or a leak there costs one task, and running work can be
/// stopped.
///
/// ```swift
/// let pool = ProcessPool()
/// let future = pool.submit(35) { fib($0) }            // a closure that captures nothing, and its argument
/// let value = try await future.value
/// let checked = pool.submit(Thumbnail(path: path), timeout: .seconds(5), retries: 1)   // a ProcessTask
/// ```
///
/// **Workers** are re-executed copies of the program that never reach its `main`: they run what is submitted and nothing
/// else. Top-level variables of a `main.swift` are not initialised in them; static and global variables of other files are, at first use,
/// each process having its own. They are started as needed, and end with the pool or with this process, however that ends.
///
/// **What travels** are `Codable` values; see ``ProcessTask`` for tasks with a name, and ``SharedArray`` for large data that
/// is not to be copied. A closure must not capture anything.
///
/// **Faults.** A worker that dies costs the task that it was running (``WorkerTerminatedError``) and is replaced. What had not started runs
/// elsewhere. A pool whose workers cannot start, or die before they run anything, is broken (``BrokenExecutorError``).
///
/// **Stopping.** ``Future/cancel()`` of a pool's future takes queued work back and stops running work: the task sees its
/// cancellation and its worker gets SIGTERM, and SIGKILL after the grace period. So does a timeout.
///
/// **Threads.** `submit` never blocks and never throws. Callbacks of futures run on a thread of the pool; one that blocks in
/// `wait()` is replaced meanwhile. Any thread may call anything.
///
/// Dropping the last reference lets the pool finish what it has, and then its workers end.
public final class ProcessPool: Sendable {
  /// How many processes can run at once here: the processors that this process may use, container limits included.
  public static var defaultMaxWorkers: Int { CPUCount.available }

  let core: ProcessPoolCore

  /// Makes a pool; its workers start when there is work.
  ///
  /// - Parameters:
  ///   - maxWorkers: the most processes at once; at least 1.
  ///   - maxTasksPerWorker: a worker is replaced after this many tasks; nil for never.
  ///   - name: for messages, and for the names of threads.
  ///   - initializer: runs in every worker before anything else. If it throws, the pool is broken.
  ///   - options: where workers run, and what they may use.
  public convenience init(
    maxWorkers: Int = ProcessPool.defaultMaxWorkers, maxTasksPerWorker: Int? = nil, name: String = "ProcessPool",
    initializer: (any ProcessTask)? = nil, options: Options = Options()
  ) {
    self.init(
      maxWorkers: maxWorkers, maxTasksPerWorker: maxTasksPerWorker, name: name, initializer: initializer,
      options: options, injectedSpawnFailure: nil)
  }

  init(
    maxWorkers: Int, maxTasksPerWorker: Int?, name: String, initializer: (any ProcessTask)?, options: Options,
    injectedSpawnFailure: (@Sendable () -> Int32)?
  ) {
    require(maxWorkers > 0, "maxWorkers must be greater than 0, not \(maxWorkers)")
    require(maxTasksPerWorker.map { $0 > 0 } ?? true, "maxTasksPerWorker must be greater than 0")
    var encoded: WorkerBlueprint.Initializer?
    var failure: (any Error)?
    do { encoded = try initializer.map { try Self.encode($0) } } catch { failure = error }
    let blueprint = WorkerBlueprint(
      name: name, options: options, initializer: encoded, injectedFailure: injectedSpawnFailure)
    core = ProcessPoolCore(
      name: name, maxWorkers: maxWorkers, maxTasksPerWorker: maxTasksPerWorker, blueprint: blueprint)
    if let failure {
      let reason = "its initializer cannot travel: \(failure)"
      core.stop(BrokenExecutorError(name: name, reason: reason, underlyingError: failure), signal: .kill)
    }
  }

  private static func encode<T: ProcessTask>(_ task: T) throws -> WorkerBlueprint.Initializer {
    WorkerBlueprint.Initializer(
      function: try FunctionRegistry.task(T.self), message: try PayloadCoder.shared.encode(task))
  }

  // What is queued still runs; the core lives until it has.
  deinit { core.shutDown(cancelPending: false) }

  /// The workers' process numbers, in no order; empty before the first is needed.
  public var workerProcessIdentifiers: [Int32] { core.workers.map(\.processIdentifier) }

  /// Starts all workers now, and returns when they are ready.
  ///
  /// Without it, a worker starts when there is work for it, which takes some milliseconds.
  ///
  /// - Throws: ``BrokenExecutorError`` when they cannot start, ``ExecutorShutDownError`` after a shutdown.
  public func start() async throws { try await core.start().value }

  // MARK: ending

  /// Takes no more work, and returns when everything submitted has ended and every worker is gone.
  ///
  /// Later submissions fail with ``ExecutorShutDownError``. May be called again and from anywhere, also from a callback.
  ///
  /// - Parameter cancelPending: cancel what has not started; what runs is waited for in any case.
  public func shutdown(cancelPending: Bool = false) async {
    core.shutDown(cancelPending: cancelPending)
    await core.whenClosed()
  }

  /// As ``shutdown(cancelPending:)``, with a limit: what has not ended by then is stopped as by ``terminateWorkers()``.
  ///
  /// - Parameters:
  ///   - cancelPending: cancels what has not started, instead of doing it.
  ///   - deadline: counted from the call. What is stopped fails with ``BrokenExecutorError``.
  public func shutdown(cancelPending: Bool = false, deadline: Duration) async {
    core.shutDown(cancelPending: cancelPending)
    let reason = "its shutdown did not end within \(deadline)"
    let timer = Timers.schedule(after: deadline) { [core] in
      core.stop(BrokenExecutorError(name: core.name, reason: reason), signal: .terminate)
    }
    await core.whenClosed()
    timer.cancel()
  }

  /// As ``shutdown(cancelPending:)``, blocking the thread.
  @available(*, noasync, message: "it blocks its thread; in asynchronous code await shutdown()", renamed: "shutdown")
  public func shutdownAndWait(cancelPending: Bool = false) {
    core.shutDown(cancelPending: cancelPending)
    try? core.closed.wait()
  }

  /// Ends every worker by SIGTERM, and by SIGKILL after the grace period; returns when they are gone.
  ///
  /// Nothing queued runs. All unfinished futures and later submissions fail with ``BrokenExecutorError``.
  public func terminateWorkers() async {
    let error = BrokenExecutorError(name: core.name, reason: "its workers were terminated by terminateWorkers()")
    core.stop(error, signal: .terminate)
    await core.whenClosed()
  }

  /// Ends every worker by SIGKILL, at once; otherwise as ``terminateWorkers()``.
  public func killWorkers() async {
    let error = BrokenExecutorError(name: core.name, reason: "its workers were killed by killWorkers()")
    core.stop(error, signal: .kill)
    await core.whenClosed()
  }
}

extension ProcessPoolCore {
  /// Also when the waiting Task is cancelled: the caller relies on the workers' end.
  func whenClosed() async {
    await withCheckedContinuation { continuation in
      closed.addDoneCallback { _ in continuation.resume() }
    }
  }
}
#endif
