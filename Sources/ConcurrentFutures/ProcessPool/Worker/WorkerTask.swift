import Dispatch
import Synchronization

/// Runs asynchronous work on the worker's main thread, which waits for it.
enum WorkerTask {
  private static let cancelCurrent = Mutex<(@Sendable () -> Void)?>(nil)

  /// The watching thread calls this when the parent asks the worker to stop.
  static func cancel() { cancelCurrent.withLock { $0 }?() }

  static func run<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) throws -> R {
    let done = DispatchSemaphore(value: 0)
    let result = Mutex<Result<R, any Error>?>(nil)
    let box = Box(result)
    let task = Task.detached {
      let outcome: Result<R, any Error>
      do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
      box.set(outcome)
      done.signal()
    }
    cancelCurrent.withLock { $0 = { task.cancel() } }
    // The request may have come before there was anything to cancel.
    if WorkerProcess.isStopRequested { task.cancel() }
    done.wait()
    cancelCurrent.withLock { $0 = nil }
    return try box.take().get()
  }

  private final class Box<R: Sendable>: Sendable {
    private let result: Mutex<Result<R, any Error>?>
    init(_ result: consuming Mutex<Result<R, any Error>?>) { self.result = result }
    func set(_ outcome: Result<R, any Error>) { result.withLock { $0 = outcome } }
    func take() -> Result<R, any Error> { result.withLock { $0! } }
  }
}
