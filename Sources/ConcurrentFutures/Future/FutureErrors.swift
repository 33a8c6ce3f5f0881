/// A future was asked for a step that its state does not allow, such as a second `setResult`.
public struct InvalidStateError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The state that the future was in.
  public let state: FutureState
  /// What was asked of it.
  public let operation: String

  private var isStart: Bool { operation == "setRunningOrNotifyCancel" }

  @usableFromInline init(state: FutureState, operation: String) {
    self.state = state
    self.operation = operation
  }

  /// What happened and what to call instead.
  public var description: String {
    "\(operation) on a future that is \(state): "
      + (isStart
        ? "its work starts once. Whoever made the future starts it, before the work and at most once; "
          + "a future of a pool is started by the pool."
        : "the first result stays. "
          + "Use complete(with:), which returns false in this case, where several threads may complete one future.")
  }
}

/// A wait or a deadline ran out.
public struct TimeoutError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The limit that was given.
  public let limit: Duration
  /// What did not end in time.
  public let what: String

  @usableFromInline init(limit: Duration, what: String) {
    self.limit = limit
    self.what = what
  }

  /// What did not end in time, and the limit.
  public var description: String { "\(what) did not end within \(limit)" }
}

/// The pool was shut down: it takes no work any more.
public struct ExecutorShutDownError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The pool's name.
  public let name: String

  @usableFromInline init(name: String) { self.name = name }

  /// What happened and what to do.
  public var description: String {
    "\(name) was shut down and takes no more work. Submit before shutdown(), or make a new pool."
  }
}

/// The pool cannot run anything any more.
public struct BrokenExecutorError: Error, Sendable, CustomStringConvertible {
  /// The pool's name.
  public let name: String
  /// What broke it.
  public let reason: String
  /// The error that broke it, where there was one.
  public let underlyingError: (any Error)?

  init(name: String, reason: String, underlyingError: (any Error)? = nil) {
    self.name = name
    self.reason = reason
    self.underlyingError = underlyingError
  }

  /// What broke the pool and what to do.
  public var description: String {
    "\(name) is broken and runs nothing any more: \(reason). Mend the cause and make a new pool."
  }
}
