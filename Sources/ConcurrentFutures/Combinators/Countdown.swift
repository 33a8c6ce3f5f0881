import Synchronization

/// Watches several futures for one outer future: calls `finish` when all are done, or `fail` at the first error.
///
/// O(1) per completion: one atomic decrement. What the combinator holds (its children and what it will do with them) is
/// dropped as soon as the outer future's fate is known, so that a gather which has failed keeps no child alive.
@usableFromInline
final class Countdown: FutureObserver, @unchecked Sendable {
  private struct Armed: Sendable {
    var children: [_FutureCore]
    var finish: @Sendable () -> Void
    var fail: (@Sendable (any Error) -> Void)?
  }

  private let remaining: Atomic<Int>
  private let failsFast: Bool
  private let armed: Mutex<Armed?>

  /// - Parameter fail: nil where errors are results like others.
  @usableFromInline init(
    _ children: [_FutureCore], finish: @escaping @Sendable () -> Void, fail: (@Sendable (any Error) -> Void)? = nil
  ) {
    remaining = Atomic(children.count)
    failsFast = fail != nil
    armed = Mutex(Armed(children: children, finish: finish, fail: fail))
  }

  /// Registers with every child. `finish` or `fail` may run in here.
  @usableFromInline func start() {
    guard let children = armed.withLock({ $0?.children }) else { return }
    if children.isEmpty { disarm()?.finish() }
    for (index, child) in children.enumerated() {
      if case .alreadyDone = child.addObserverCore(self, index: index) { futureDone(child, index: index) }
    }
  }

  @usableFromInline override func futureDone(_ future: FutureCore, index: Int) {
    if failsFast, !future.acquired().hasValue, let error = future.errorIfFailed() {
      disarm()?.fail?(error)
    }
    if remaining.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
      disarm()?.finish()
    }
  }

  /// Gives everything up and cancels the children that are not done.
  func cancelChildren() {
    for child in disarm()?.children ?? [] { child.cancelCore() }
  }

  private func disarm() -> Armed? { armed.withLock { $0.take() } }
}

/// Passes the cancellation of an outer future on to the futures that it is made of.
///
/// The future drops it when it is done, which breaks the cycle outer, countdown, outer.
@usableFromInline
final class CountdownProducer: FutureProducer, @unchecked Sendable {
  private let countdown = Mutex<Countdown?>(nil)

  @usableFromInline override init() {}

  @usableFromInline func watch(_ countdown: Countdown) { self.countdown.withLock { $0 = countdown } }
  @usableFromInline override func futureWasCancelled() { countdown.withLock { $0.take() }?.cancelChildren() }
}
