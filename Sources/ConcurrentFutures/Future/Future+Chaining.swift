import Dispatch
import Synchronization

/// Makes the cancellation of a derived future that of the future it waits for.
///
/// The reference is weak: a source that nobody will complete must not be kept alive by what waits for it.
@usableFromInline
final class Upstream: FutureProducer, @unchecked Sendable {
  private struct State {
    weak var source: _FutureCore?
    var isCancelled = false
  }
  private let state: Mutex<State>

  @usableFromInline init(_ source: _FutureCore) { state = Mutex(State(source: source)) }

  /// From now on cancellation goes to `source`.
  @usableFromInline func move(to source: _FutureCore) {
    let isCancelled = state.withLock { state in
      state.source = source
      return state.isCancelled
    }
    if isCancelled { source.cancelCore() }
  }

  @usableFromInline override func futureWasCancelled() {
    let source = state.withLock { state in
      state.isCancelled = true
      return state.source
    }
    source?.cancelCore()
  }
}

/// What a time limit does when it runs out.
///
/// It holds the derived future, for nobody else may: that one ends in time also if the source is gone. It lets go of it
/// where it ends it, so that nothing of the user's is released on the timers' thread.
private final class Expiry<Success: Sendable>: Sendable {
  private struct Ends {
    weak var source: Future<Success>?
    var derived: Future<Success>?
  }
  private let ends: Mutex<Ends>
  private let limit: Duration

  init(source: Future<Success>, derived: Future<Success>, limit: Duration) {
    ends = Mutex(Ends(source: source, derived: derived))
    self.limit = limit
  }

  func expire() {
    let (source, derived) = ends.withLock { ($0.source, $0.derived.take()) }
    let error = TimeoutError(limit: limit, what: "the future")
    if derived?.complete(with: .failure(error)) == true { source?.cancel() }
  }
}

extension Future {
  /// A future of the value that `transform` makes of this one's.
  ///
  /// `transform` runs where callbacks run: in the thread that completes this future. An error of this future, or one that
  /// `transform` throws, is the new future's error. Cancelling the new future cancels this one; use ``shielded()`` where
  /// others depend on it. Chains may have any length.
  @inlinable public func map<New: Sendable>(_ transform: @escaping @Sendable (Success) throws -> New) -> Future<New> {
    derived { source, derived in
      switch source.resultIfDone! {
      case .success(let value): derived.complete(with: Result { try transform(value) })
      case .failure(let error): derived.complete(failing: error, cancelled: source.isCancelled)
      }
    }
  }

  /// A future of the value of the future that `transform` returns.
  ///
  /// As ``map(_:)``; once `transform` has returned, cancelling the new future cancels the one that it returned.
  @inlinable public func flatMap<New: Sendable>(_ transform: @escaping @Sendable (Success) throws -> Future<New>)
    -> Future<New>
  {
    let upstream = Upstream(self)
    return derived(upstream) { source, derived in
      do {
        let inner = try transform(source.resultIfDone!.get())
        upstream.move(to: inner)
        inner.addDoneCallback { derived.complete(copying: $0) }
      } catch {
        derived.complete(failing: error, cancelled: source.isCancelled)
      }
    }
  }

  /// A future that ends as this one, except that `transform` may turn an error into a value.
  ///
  /// Runs for every error, cancellation of this future included, unless the new future itself was cancelled.
  @inlinable public func recover(_ transform: @escaping @Sendable (any Error) throws -> Success) -> Future {
    derived { source, derived in
      switch source.resultIfDone! {
      case .success(let value): derived.complete(with: .success(value))
      case .failure(let error): derived.complete(with: Result { try transform(error) })
      }
    }
  }

  /// A future that ends as this one, or with ``TimeoutError`` when `limit` has passed since the call; this future is then
  /// cancelled.
  ///
  /// The callbacks of a time-out run on a Dispatch queue.
  public func timeout(after limit: Duration) -> Future {
    require(limit >= .zero, "limit must not be negative")
    let derived = derived { source, derived in derived.complete(copying: source) }
    if derived.isDone { return derived }
    let expiry = Expiry(source: self, derived: derived, limit: limit)
    let timer = Timers.schedule(after: limit) { DispatchQueue.global().async { expiry.expire() } }
    derived.addDoneCallback { _ in timer.cancel() }
    return derived
  }

  /// A future that ends as this one and whose cancellation leaves this one alone.
  public func shielded() -> Future {
    let derived = Future()
    let token = addDoneCallback { derived.complete(copying: $0) }
    // One that is given up leaves nothing behind: whoever asks a long-lived future again and again would fill it.
    if !derived.isDone { derived.addDoneCallback { [weak self] _ in self?.removeDoneCallback(token) } }
    return derived
  }

  /// A future that `finish` completes when this one is done, and whose cancellation cancels this one. `finish` is not
  /// called once the new future is done.
  @inlinable func derived<New: Sendable>(
    _ upstream: Upstream? = nil, _ finish: @escaping @Sendable (_ source: Future, _ derived: Future<New>) -> Void
  ) -> Future<New> {
    let derived = Future<New>(producer: upstream ?? Upstream(self))
    addDoneCallback { source in
      if !derived.isDone { finish(source, derived) }
    }
    return derived
  }

  /// Ends as `other`, which is done, has ended: with its result, or cancelled.
  @inlinable func complete(copying other: Future) {
    switch other.resultIfDone! {
    case .success(let value): complete(with: .success(value))
    case .failure(let error): complete(failing: error, cancelled: other.isCancelled)
    }
  }

  /// Ends with an error, or as cancelled where the source was cancelled.
  @usableFromInline func complete(failing error: any Error, cancelled: Bool) {
    if cancelled { endAsCancelled() } else { complete(with: .failure(error)) }
  }
}
