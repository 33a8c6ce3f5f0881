/// What runs tasks: a ``ThreadPool`` or a ``ProcessPool``, for code that works with either.
///
/// ```swift
/// func countWords(in paths: [String], on pool: some TaskPool) async throws -> [Int] {
///   try await gather(paths.map { pool.submit(CountWords(path: $0)) }).value
/// }
/// ```
public protocol TaskPool: Sendable {
  /// Runs a task, in a thread or in another process. Never blocks and never throws.
  @discardableResult func submit<T: ProcessTask>(_ task: T) -> Future<T.Output>
  /// Runs an asynchronous task, in this process or in another. Never blocks and never throws.
  @discardableResult func submit<T: AsyncProcessTask>(_ task: T) -> Future<T.Output>
  /// Takes no more work, and returns when everything submitted has ended.
  func shutdown(cancelPending: Bool) async
}

extension ThreadPool: TaskPool {}

#if os(Linux) || os(macOS)
extension ProcessPool: TaskPool {
  /// Runs a task in a worker, without a limit of time and without retries.
  @discardableResult public func submit<T: ProcessTask>(_ task: T) -> Future<T.Output> {
    submit(task, timeout: nil, retries: 0)
  }

  /// Runs an asynchronous task in a worker, without a limit of time and without retries.
  @discardableResult public func submit<T: AsyncProcessTask>(_ task: T) -> Future<T.Output> {
    submit(task, timeout: nil, retries: 0)
  }
}
#endif
