#if os(Linux) || os(macOS)
import Dispatch
import Synchronization

/// Runs asynchronous work on behalf of the worker's main thread, which waits for it.
enum WorkerTask {
  private static let cancelCurrent = Mutex<(@Sendable () -> Void)?>(nil)

  /// The watching thread calls this when the parent asks the worker to stop.
  static func cancel() { cancelCurrent.withLock { $0 }?() }

  /// Not generic, and the body not `@Sendable`: only one thread has it at any time, as the caller waits.
  static func run(_ body: @escaping () async -> Void) {
    let done = DispatchSemaphore(value: 0)
    let box = Box(body: body)
    let task = Task.detached {
      await box.body()
      done.signal()
    }
    cancelCurrent.withLock { $0 = { task.cancel() } }
    // The request may have come before there was anything to cancel.
    if WorkerProcess.isStopRequested { task.cancel() }
    done.wait()
    cancelCurrent.withLock { $0 = nil }
  }

  private struct Box: @unchecked Sendable {
    let body: () async -> Void
  }
}
#endif
