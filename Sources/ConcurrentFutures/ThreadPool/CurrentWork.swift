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
  /// False outside of any work. O(1).
  public static var isCancelled: Bool {
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
}
