/// Work that can run in another process: a value that says all that it needs.
///
/// Any `Codable` struct, enum or class will do, also generic ones. The task is encoded where it is submitted and decoded in a worker
/// process, which calls ``run()`` and sends the output back. The same task runs on a ``ThreadPool``, where nothing is encoded.
///
/// ```swift
/// struct Thumbnail: ProcessTask {
///   var path: String
///   func run() throws -> [UInt8] { try makeThumbnail(path) }
/// }
/// let bytes = try await pool.submit(Thumbnail(path: "cat.jpg")).value
/// ```
public protocol ProcessTask: Codable, Sendable {
  /// What the task gives.
  associatedtype Output: Codable & Sendable

  /// Does the work, in a worker process or a pool's thread.
  ///
  /// An error that is `Codable` arrives in the parent as itself, any other as a `RemoteError`.
  func run() throws -> Output
}

/// Asynchronous work that can run in another process; see ``ProcessTask``.
///
/// It runs as a Task of the worker process. When its future is cancelled or its time is up, that Task is cancelled, and the
/// worker is killed if it has not ended by the end of the grace period. Code of the main actor runs on the worker's main thread, on
/// Linux; on macOS such code does not come back.
public protocol AsyncProcessTask: Codable, Sendable {
  /// What the task gives.
  associatedtype Output: Codable & Sendable

  /// Does the work, in a worker process.
  func run() async throws -> Output
}
