import Synchronization

/// Watches several futures for one outer future: calls `finish` when all are done, or `fail` at the first error.
///
/// O(1) per completion: one atomic decrement. What the combinator holds (its children and what it will do with them) is
/// dropped as soon as the outer future's fate is known, so that a gather which has failed keeps no child alive; nor does it
/// leave anything behind in its children, of which some may live long and be gathered often.
@usableFromInline
final class Countdown: FutureObserver, @unchecked Sendable {
  private struct Armed: Sendable {
    var children: [_FutureCore]
    /// Registrations that did not fit into their future's slot, where they may have to be taken back.
    var nodes: [Int: Registration] = [:]
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
    super.init(onlyCounts: true)
  }

  /// Registers with every child. `finish` or `fail` may run in here.
  @usableFromInline func start() {
    guard let children = armed.withLock({ $0?.children }) else { return }
    if children.isEmpty { finish() }
    // The array holds them: not retained each.
    for index in children.indices {
      guard Unmanaged.passUnretained(children[index])._withUnsafeGuaranteedRef({ register($0, index) }) else { break }
    }
    // Who ended it while we were registering did not see all registrations. The count is only a hint (zero: all have been
    // delivered, none is left to take back); the lock of `armed` decides and orders.
    if remaining.load(ordering: .relaxed) > 0, armed.withLock({ $0 == nil }) { takeBack(children, [:]) }
  }

  /// False when it is over.
  @inline(__always)
  private func register(_ child: _FutureCore, _ index: Int) -> Bool {
    switch child.addObserverCore(self, index: index) {
    case .alreadyDone:
      futureDone(child, index: index)
      return !failsFast || child.acquired().hasValue
    case .inSlot:
      return true
    case .thereAlready:
      return true
    case .inList(let node):
      if keep(node, index) { return true }
      child.removeObserver(self, index: index, .inList(node))
      return false
    }
  }

  /// False if it is over and nobody will look at the node.
  private func keep(_ node: Registration, _ index: Int) -> Bool {
    armed.withLock { armed in
      armed?.nodes[index] = node
      return armed != nil
    }
  }

  private func takeBack(_ children: [_FutureCore], _ nodes: [Int: Registration]) {
    for (index, child) in children.enumerated() {
      // As far as failures are concerned that nobody looks at, the gather has looked at all its children's.
      if failsFast { child.markObserved() }
      if child.acquired().isDone { continue }
      child.removeObserver(self, index: index, nodes[index].map(ObserverAdded.inList) ?? .inSlot)
    }
  }

  @usableFromInline override func futureDone(_ future: FutureCore, index: Int) {
    if failsFast, !future.acquired().hasValue, let error = future.errorIfFailed() {
      FutureCore.nested {
        guard let armed = disarm() else { return }
        armed.fail?(error)
        takeBack(armed.children, armed.nodes)
      }
    }
    // Each release is acquired by whoever comes to zero: it sees all the children's results.
    if remaining.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { finish() }
  }

  /// What is nested lets go of the children before what has been put off meanwhile runs. Where the child's own delivery has begun one
  /// level, this is another.
  private func finish() {
    FutureCore.nested { disarm()?.finish() }
  }

  /// Gives everything up and cancels the children that are not done.
  func cancelChildren() {
    guard let armed = disarm() else { return }
    takeBack(armed.children, armed.nodes)
    for child in armed.children { child.cancelCore() }
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
