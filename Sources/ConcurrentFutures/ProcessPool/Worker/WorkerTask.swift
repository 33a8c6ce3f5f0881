#if os(Linux) || os(macOS)
import CProcessSupport
import Dispatch
import Synchronization

/// Runs asynchronous work on behalf of the worker's main thread, which waits for it.
///
/// While it waits, the main thread runs what comes to Dispatch's main queue, as a program's main thread would: that is where
/// code of the main actor runs, and without it the work would wait for it for ever.
enum WorkerTask {
  private static let cancelCurrent = Mutex<(@Sendable () -> Void)?>(nil)

  /// The watching thread calls this when the parent asks the worker to stop.
  static func cancel() { cancelCurrent.withLock { $0 }?() }

  /// Not generic, and the body not `@Sendable`: only one thread has it at any time, as the caller waits.
  static func run(_ body: @escaping () async -> Void) {
    let end = cp_can_drain_main_queue() ? End.onMainQueue(Done()) : End.bySemaphore(DispatchSemaphore(value: 0))
    let box = Box(body: body)
    let task = Task.detached {
      await box.body()
      end.announce()
    }
    cancelCurrent.withLock { $0 = { task.cancel() } }
    // The request may have come before there was anything to cancel.
    if WorkerProcess.isStopRequested { task.cancel() }
    end.wait()
    cancelCurrent.withLock { $0 = nil }
  }

  /// Touched on the main thread only.
  private final class Done: @unchecked Sendable { var isDone = false }

  /// How the main thread hears that the work is done.
  private enum End: Sendable {
    /// By a work item on the queue that it drains.
    case onMainQueue(Done)
    case bySemaphore(DispatchSemaphore)

    func announce() {
      switch self {
      case .onMainQueue(let done): DispatchQueue.main.async { done.isDone = true }
      case .bySemaphore(let semaphore): semaphore.signal()
      }
    }

    func wait() {
      switch self {
      case .onMainQueue(let done):
        while !done.isDone {
          if !cp_drain_main_queue() { WorkerProcess.refuse("a task has closed the descriptor of the main queue") }
        }
      case .bySemaphore(let semaphore): semaphore.wait()
      }
    }
  }

  private struct Box: @unchecked Sendable {
    let body: () async -> Void
  }
}
#endif
