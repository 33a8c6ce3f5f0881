import CPlatformSupport

/// What the code that runs now can ask about the work that it is part of.
///
/// Work on a thread cannot be stopped from outside, only asked to stop: `cancel()` of a running future raises a request,
/// and a long body looks at it now and then.
///
/// ```swift
/// let future = pool.submit {
///   for chunk in chunks {
///     try CurrentWork.checkCancellation()
///     process(chunk)
///   }
/// }
/// ```
public enum CurrentWork {
  /// Whether somebody has asked the running work to stop: its future, or the Task that it runs in, was cancelled.
  ///
  /// In a worker process of a ``ProcessPool``, on every thread: true once the task that the worker runs was cancelled or its
  /// time is up. False outside of any work. O(1).
  public static var isCancelled: Bool {
    if let request = stopOfThisProcess, cf_load_acquire(request) != 0 { return true }
    // A body that a Task runs inside a wait is not part of that Task: the innermost work alone is asked.
    if let opaque = cf_thread().pointee.current_task {
      return Unmanaged<_PoolItem>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.isAskedToStop }
    }
    return withUnsafeCurrentTask { $0?.isCancelled ?? false }
  }

  /// Throws `CancellationError` if the running work was asked to stop.
  public static func checkCancellation() throws {
    if isCancelled { throw CancellationError() }
  }

  /// Not zero: all that runs in this process is to stop. Only worker processes have it; set before they have a second thread.
  nonisolated(unsafe) static var stopOfThisProcess: UnsafeMutablePointer<UInt32>?
}
