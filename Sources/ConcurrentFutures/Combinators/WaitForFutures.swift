import Synchronization

/// When `wait(_:timeout:returnWhen:)` returns.
public enum ReturnWhen: Sendable {
  /// When all futures are done.
  case allCompleted
  /// When any future is done.
  case firstCompleted
  /// When any future has failed; without a failure, when all are done. A cancelled future is not a failure.
  case firstError
}

/// Blocks until the condition holds or the time has run out, and tells which futures are done.
///
/// Never throws and cancels nothing. A future that is given twice counts once. After Python's
/// `concurrent.futures.wait`, except that a cancelled future counts as done from the moment of its cancellation.
///
/// - Parameters:
///   - futures: what to wait for; an empty sequence returns at once.
///   - timeout: counted from the call; nil waits without limit.
///   - returnWhen: the condition.
@available(*, noasync, message: "this wait() blocks its thread; asynchronous code uses `await wait(...)`")
public func wait<S: Sendable>(
  _ futures: some Sequence<Future<S>>, timeout: Duration? = nil, returnWhen: ReturnWhen = .allCompleted
) -> (done: Set<Future<S>>, notDone: Set<Future<S>>) {
  let condition = WaitCondition(futures, timeout: timeout, returnWhen: returnWhen)
  condition.start()
  _ = condition.met.waitUntilDone(deadline: condition.deadline)
  return condition.stop()
}

/// Waits until the condition holds or the time has run out, and tells which futures are done.
///
/// Never throws and cancels nothing: where the waiting Task is cancelled, it returns what is done by then. In all else as
/// the blocking form.
public func wait<S: Sendable>(
  _ futures: some Sequence<Future<S>>, timeout: Duration? = nil, returnWhen: ReturnWhen = .allCompleted
) async -> (done: Set<Future<S>>, notDone: Set<Future<S>>) {
  let condition = WaitCondition(futures, timeout: timeout, returnWhen: returnWhen)
  condition.start()
  _ = try? await TaskWaiter.wait(for: condition.met, deadline: condition.deadline)
  return condition.stop()
}

/// One call of `wait`: a future of its own that ends when the condition holds.
private final class WaitCondition<S: Sendable>: FutureObserver, @unchecked Sendable {
  let met = Future<Void>()
  let deadline: Deadline?
  private let futures: Set<Future<S>>
  private let watched: Watched
  private let remaining: Atomic<Int>
  private let returnWhen: ReturnWhen

  init(_ futures: some Sequence<Future<S>>, timeout: Duration?, returnWhen: ReturnWhen) {
    if let timeout {
      require(timeout >= .zero, "timeout must not be negative")
    }
    deadline = timeout.map(Deadline.init(after:))
    self.futures = Set(futures)
    self.returnWhen = returnWhen
    remaining = Atomic(self.futures.count)
    watched = Watched(erased(self.futures))
  }

  func start() {
    if futures.isEmpty { met.complete(with: .success(())) }
    watched.register(self)
  }

  override func futureDone(_ future: FutureCore, index: Int) {
    // Each release is acquired by whoever comes to zero: it sees all the others' results.
    let isLast = remaining.subtract(1, ordering: .acquiringAndReleasing).newValue == 0
    let isEnough =
      switch returnWhen {
      case .allCompleted: false
      case .firstCompleted: true
      case .firstError: future.acquired().isFailed
      }
    if isLast || isEnough { met.complete(with: .success(())) }
  }

  func stop() -> (done: Set<Future<S>>, notDone: Set<Future<S>>) {
    watched.removeRegistrations(of: self)
    var done: Set<Future<S>> = []
    var notDone: Set<Future<S>> = []
    for future in futures {
      if future.isDone { done.insert(future) } else { notDone.insert(future) }
    }
    return (done, notDone)
  }
}
