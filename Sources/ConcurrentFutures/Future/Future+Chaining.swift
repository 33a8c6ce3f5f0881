import Dispatch
import Synchronization

/// Makes the cancellation of a derived future that of the future it waits for.
///
/// The reference is weak: a source that nobody will complete must not be kept alive by what waits for it.
private final class Upstream: FutureProducer, @unchecked Sendable {
  private struct State {
    weak var source: _FutureCore?
    var isCancelled = false
  }
  private let state: Mutex<State>

  init(_ source: _FutureCore) { state = Mutex(State(source: source)) }

  /// From now on cancellation goes to `source`.
  func move(to source: _FutureCore) {
    let isCancelled = state.withLock { state in
      state.source = source
      return state.isCancelled
    }
    if isCancelled { source.cancelCore() }
  }

  override func futureWasCancelled() {
    let source = state.withLock { state in
      state.isCancelled = true
      return state.source
    }
    source?.cancelCore()
  }
}

extension Future {
  /// A future of the value that `transform` makes of this one's.
  ///
  /// `transform` runs where callbacks run: in the thread that completes this future. An error of this future, or one that
  /// `transform` throws, is the new future's error. Cancelling the new future cancels this one; use ``shielded()`` where
  /// others depend on it. Chains may have any length.
  public func map<New: Sendable>(_ transform: @escaping @Sendable (Success) throws -> New) -> Future<New> {
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
  public func flatMap<New: Sendable>(_ transform: @escaping @Sendable (Success) throws -> Future<New>) -> Future<New> {
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
  public func recover(_ transform: @escaping @Sendable (any Error) throws -> Success) -> Future {
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
    precondition(limit >= .zero, "limit must not be negative")
    let derived = derived { source, derived in derived.complete(copying: source) }
    if derived.isDone { return derived }
    let timer = Timers.schedule(after: limit) { [weak self, weak derived] in
      guard let derived else { return }
      let source = self
      DispatchQueue.global().async {
        if derived.complete(with: .failure(TimeoutError(limit: limit, what: "the future"))) { source?.cancel() }
      }
    }
    derived.addDoneCallback { _ in timer.cancel() }
    return derived
  }

  /// A future that ends as this one and whose cancellation leaves this one alone.
  public func shielded() -> Future {
    let derived = Future()
    addDoneCallback { derived.complete(copying: $0) }
    return derived
  }

  /// A future that `finish` completes when this one is done, and whose cancellation cancels this one. `finish` is not
  /// called once the new future is done.
  private func derived<New: Sendable>(
    _ upstream: Upstream? = nil, _ finish: @escaping @Sendable (_ source: Future, _ derived: Future<New>) -> Void
  ) -> Future<New> {
    let derived = Future<New>(producer: upstream ?? Upstream(self))
    addDoneCallback { source in
      if !derived.isDone { finish(source, derived) }
    }
    return derived
  }

  /// Ends as `other`, which is done, has ended: with its result, or cancelled.
  func complete(copying other: Future) {
    switch other.resultIfDone! {
    case .success(let value): complete(with: .success(value))
    case .failure(let error): complete(failing: error, cancelled: other.isCancelled)
    }
  }

  /// Ends with an error, or as cancelled where the source was cancelled.
  private func complete(failing error: any Error, cancelled: Bool) {
    if cancelled { cancel() } else { complete(with: .failure(error)) }
  }
}
