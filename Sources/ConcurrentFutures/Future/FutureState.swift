/// Where a future stands between its creation and its end.
public enum FutureState: Sendable, Hashable {
  /// Nobody has started to work on it.
  case pending
  /// Its work has started and cannot be recalled, only asked to stop.
  case running
  /// It was cancelled; reading its value throws `CancellationError`.
  case cancelled
  /// It has a value or an error.
  case finished
}

extension FutureState: CustomStringConvertible {
  /// The state's name.
  public var description: String {
    switch self {
    case .pending: "pending"
    case .running: "running"
    case .cancelled: "cancelled"
    case .finished: "finished"
    }
  }
}
