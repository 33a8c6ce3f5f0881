extension Future: CustomStringConvertible {
  /// The state in words, with the value or the error once there is one.
  public var description: String {
    let state = acquired()
    let name = "Future<\(Success.self)>"
    switch state.phase {
    case FutureWord.pending: return "\(name)(pending)"
    case FutureWord.running:
      return state.isCancelRequested ? "\(name)(running, asked to stop)" : "\(name)(running)"
    case FutureWord.cancelled: return "\(name)(cancelled)"
    default: return state.isFailed ? "\(name)(failed: \(storedError))" : "\(name)(finished: \(storedValue))"
    }
  }
}

extension Future: Hashable {
  /// Futures are equal if they are the same object.
  @inlinable public static func == (a: Future, b: Future) -> Bool { a === b }

  /// Hashes the identity.
  @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
