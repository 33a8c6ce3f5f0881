import CPlatformSupport
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Reports of mistakes that no call can throw: failures that nobody looked at, and blocking where it hurts.
public enum FutureDiagnostics {
  /// A future that failed and was released without anybody having read its error.
  public struct UnobservedFailure: Sendable {
    /// The error.
    public let error: any Error
    /// The future's own description.
    public let future: String
  }

  private struct Handlers {
    var unobserved: (@Sendable (UnobservedFailure) -> Void)?
    var blockingWait: (@Sendable (String) -> Void)?
    var hasReportedBlockingWait = false
  }

  private static let handlers = Mutex(Handlers())
  /// Spares every future that fails the look into `handlers`.
  private static let reportsUnobserved = Atomic(false)

  /// Sets who hears of futures that failed and that nobody ever looked at; nil, the default, reports nothing.
  ///
  /// Reading the error counts as looking: `value`, `result`, `wait()`, `resultIfDone`, and what builds on these. The handler
  /// runs in the thread that drops the future's last reference. After asyncio's "exception was never retrieved".
  public static func onUnobservedFailure(_ handler: (@Sendable (UnobservedFailure) -> Void)?) {
    let old = handlers.withLock { handlers in
      let old = handlers.unobserved
      handlers.unobserved = handler
      return old
    }
    reportsUnobserved.store(handler != nil, ordering: .releasing)
    _ = old
  }

  /// Sets who hears of a blocking `wait()` inside a Task, where it holds one of the few threads that run all Tasks.
  ///
  /// The default, nil, prints the first occurrence to standard error. A handler hears of each.
  public static func onBlockingWaitInTask(_ handler: (@Sendable (String) -> Void)?) {
    let old = handlers.withLock { handlers in
      let old = handlers.blockingWait
      handlers.blockingWait = handler
      return old
    }
    _ = old
  }

  static func reportUnobserved<S>(_ future: Future<S>) {
    guard reportsUnobserved.load(ordering: .acquiring), let handler = handlers.withLock({ $0.unobserved }) else {
      return
    }
    handler(UnobservedFailure(error: future.storedError, future: future.description))
  }

  /// Called by a thread that is about to sleep in a blocking wait and belongs to no pool of ours.
  static func noteBlockingWait() {
    guard withUnsafeCurrentTask(body: { $0 != nil }), !cf_is_main_thread() else { return }
    let message =
      "ConcurrentFutures: a blocking wait() runs inside a Task and holds one of the \(CPUCount.available) threads that run "
      + "all Tasks of this process; a few of these stop the program. Read `try await future.value` instead, or move the "
      + "synchronous code to a thread that may block: `try await ThreadPool.shared.run { ... }`."
    let (handler, isFirst) = handlers.withLock { handlers in
      defer { handlers.hasReportedBlockingWait = true }
      return (handlers.blockingWait, !handlers.hasReportedBlockingWait)
    }
    if let handler {
      handler(message)
    } else if isFirst {
      printToStandardError(message)
    }
  }

  static func printToStandardError(_ message: String) {
    let line = Array((message + "\n").utf8)
    line.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = write(2, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
        if written <= 0 { return }
        rest = rest.dropFirst(written)
      }
    }
  }
}
