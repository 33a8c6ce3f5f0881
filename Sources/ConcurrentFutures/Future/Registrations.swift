import CPlatformSupport

/// Something inside the library that wants to know when futures are done: a combinator, a waiting thread, a suspended task.
///
/// One observer can watch many futures at once; `index` is what it gave at each registration.
@usableFromInline
class FutureObserver: @unchecked Sendable {
  /// Whether `futureDone` runs no callback, or counts as a delivery itself where it does. Then the future need not be `delivering`
  /// meanwhile, which is one atomic step less for each of the many futures of a combinator.
  @usableFromInline final let onlyCounts: Bool

  @usableFromInline init(onlyCounts: Bool = false) { self.onlyCounts = onlyCounts }

  /// Called once for each registration that was not removed, under no lock, in the thread that ended the future.
  @usableFromInline func futureDone(_ future: FutureCore, index: Int) {
    preconditionFailure("FutureObserver is abstract")
  }

  /// Whether `futureDone` only wakes somebody, so that it may go ahead of callbacks that were registered earlier.
  @usableFromInline var onlyWakes: Bool { false }
}

/// A registration that did not fit into the future's own slot: an element of a doubly linked list, removable in O(1).
@usableFromInline
class Registration: @unchecked Sendable {
  // The future's lock guards the links.
  @exclusivity(unchecked) fileprivate final var next: Registration?
  @exclusivity(unchecked) fileprivate final unowned(unsafe) var previous: Registration?
  @exclusivity(unchecked) fileprivate final var isLinked = false

  @usableFromInline init() {}

  @usableFromInline func deliver(_ future: FutureCore) { preconditionFailure("Registration is abstract") }
  /// It was taken out of the list and will not be delivered. Called without the lock.
  @usableFromInline func wasRemoved() {}
}

/// What ``_FutureCore/addObserverCore(_:index:)`` did.
@usableFromInline
enum ObserverAdded {
  /// The future is done: the observer was not and will not be called.
  case alreadyDone
  case inSlot
  /// An earlier registration of the same observer is in the slot.
  case thereAlready
  case inList(Registration)
}

/// An observer's registration in the list.
@usableFromInline
final class ObserverRegistration: Registration, @unchecked Sendable {
  @usableFromInline let observer: FutureObserver
  @usableFromInline let index: Int

  @usableFromInline init(_ observer: FutureObserver, index: Int) {
    self.observer = observer
    self.index = index
  }

  @usableFromInline override func deliver(_ future: FutureCore) { observer.futureDone(future, index: index) }
}

/// What few futures need: registrations beyond the first.
///
/// The future's lock guards all of it.
@usableFromInline
final class FutureExtras: @unchecked Sendable {
  /// What only wakes somebody: delivered before all callbacks, which may take their time.
  @exclusivity(unchecked) var waiters = RegistrationList()
  /// Callbacks and links to other futures, in the order of registration.
  @exclusivity(unchecked) var callbacks = RegistrationList()

  init() {}

  // One by one: a chain of a hundred thousand nodes that release each other would overflow the stack.
  deinit { while popFirst() != nil {} }

  func popFirst() -> Registration? { waiters.popFirst() ?? callbacks.popFirst() }
  var isEmpty: Bool { waiters.isEmpty && callbacks.isEmpty }
}

/// A list of registrations in their order.
struct RegistrationList {
  private var head: Registration?
  private unowned(unsafe) var tail: Registration?
  private(set) var count = 0

  var isEmpty: Bool { head == nil }

  mutating func append(_ node: Registration) {
    node.previous = tail
    node.isLinked = true
    if let tail { tail.next = node } else { head = node }
    tail = node
    count += 1
  }

  mutating func popFirst() -> Registration? {
    guard let node = head else { return nil }
    unlink(node)
    return node
  }

  /// Whether the node was still in the list.
  mutating func remove(_ node: Registration) -> Bool {
    guard node.isLinked else { return false }
    unlink(node)
    return true
  }

  private mutating func unlink(_ node: Registration) {
    let next = node.next
    let previous = node.previous
    if let next { next.previous = previous } else { tail = previous }
    if let previous { previous.next = next } else { head = next }
    node.next = nil
    node.previous = nil
    node.isLinked = false
    count -= 1
  }
}

/// What makes a future's value, for a future whose maker wants to hear of its cancellation.
@usableFromInline
class FutureProducer: @unchecked Sendable {
  @usableFromInline init() {}

  /// The future was cancelled. Called at most once, under no lock, in the cancelling thread, before the callbacks; inside
  /// deeply nested callbacks it is put off as they are.
  /// The future drops its producer when it is done.
  @usableFromInline func futureWasCancelled() {}

  /// The future is running and was asked to stop. Called at most once, under no lock, in the asking thread.
  @usableFromInline func cancellationWasRequested() {}

  /// A thread is going to block for the future, without a time limit. The producer may use it for some tens of microseconds to get the
  /// result; it must not run anything of the user's there but what decoding needs. Whether the future is done.
  func help(_ future: _FutureCore) -> Bool { false }

  /// A Task is going to wait for the future, without a time limit, and may help for some tens of microseconds as a thread does.
  /// Whether the future is done.
  func taskWillWait(for future: _FutureCore) -> Bool { false }
  /// The wait of a Task has ended.
  func taskHasWaited() {}
}
