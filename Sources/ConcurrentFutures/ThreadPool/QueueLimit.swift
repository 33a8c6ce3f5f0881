/// How much may wait in a pool's queue, and what happens to a submission that finds it full.
public struct QueueLimit: Sendable {
  /// What happens to a submission that finds the queue full.
  public enum WhenFull: Sendable {
    /// Asynchronous callers (`run`, `submitWhenAccepted`) are suspended until there is room; a plain `submit`, which cannot
    /// suspend, is rejected.
    case suspend
    /// The submitting thread blocks until there is room. Not for asynchronous code.
    case block
    /// The future fails with ``QueueFullError``.
    case reject
  }

  let maximum: Int?
  let whenFull: WhenFull

  /// No limit: the default.
  public static let unlimited = QueueLimit(maximum: nil, whenFull: .reject)

  /// At most `count` tasks wait, not counting those that run.
  ///
  /// What workers submit to their own pool is not counted and never waits: a worker could wait for itself.
  public static func atMost(_ count: Int, whenFull: WhenFull) -> QueueLimit {
    require(count > 0, "count must be greater than 0, not \(count)")
    return QueueLimit(maximum: count, whenFull: whenFull)
  }

  var isBounded: Bool { maximum != nil }
  func isReached(queued: Int) -> Bool { maximum.map { queued >= $0 } ?? false }
}

/// The queue of a pool was full.
public struct QueueFullError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The pool's name.
  public let name: String
  /// How many tasks may wait.
  public let limit: Int

  /// What happened and what to do.
  public var description: String {
    "the queue of \(name) is full (\(limit) tasks). Submit more slowly: `await pool.submitWhenAccepted { ... }` waits for "
      + "room, and QueueLimit.atMost(_:whenFull: .block) blocks the submitting thread."
  }
}

extension QueueLimit {
  /// Why a submission that finds the queue full is refused.
  func error(name: String) -> any Error { QueueFullError(name: name, limit: maximum!) }
}
