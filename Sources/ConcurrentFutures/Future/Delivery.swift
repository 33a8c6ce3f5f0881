import CPlatformSupport
import Synchronization

// Delivery: running the registrations of a future that is done.
//
// The thread that ended the future (or found it in `delivering`) owns the delivery until it finds slot and list empty and
// takes the `delivering` bit away in the same critical section; a registration that comes before that queues behind the
// others and is delivered by the same thread, one that comes after it is called by the thread that adds it. Order of
// registration and "exactly once" follow.
//
// A callback may end other futures, whose callbacks end others. Those deliveries nest on the stack, up to a small depth;
// deeper ones are handed to the outermost delivery of the thread, which runs them when the stack has unwound. A chain of a
// million `map`s therefore needs a constant amount of stack.

private let maximumDepth: UInt32 = 16

/// The deliveries that a thread has put off; lives in the frame of its outermost delivery.
private final class DeferredDeliveries {
  var futures: [_FutureCore] = []
  var next = 0

  func takeNext() -> _FutureCore? {
    guard next < futures.count else { return nil }
    let future = futures[next]
    next += 1
    if next == futures.count {
      futures.removeAll(keepingCapacity: true)
      next = 0
    }
    return future
  }
}

extension _FutureCore {
  /// Whether a delivery may nest here. If so, ``endDelivery(_:)`` has to follow.
  @usableFromInline final func beginDelivery() -> Bool {
    let thread = cf_thread()
    if thread.pointee.delivery_depth >= maximumDepth { return false }
    thread.pointee.delivery_depth += 1
    return true
  }

  /// Ends a delivery whose slot was called, unless something has been registered since.
  @usableFromInline final func endDelivery(_ state: FutureWord) {
    var ended = state
    ended.endDelivery()
    if !word.compareExchange(
      expected: state.bits, desired: ended.bits, successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed
    ).exchanged {
      deliverAll()
    }
    leaveDelivery()
  }

  private final func leaveDelivery() {
    let thread = cf_thread()
    if thread.pointee.delivery_depth == 1, thread.pointee.deferred_deliveries != nil { runDeferredDeliveries() }
    thread.pointee.delivery_depth -= 1
  }

  /// Runs every registration. The caller has just put the word into `delivering`.
  @usableFromInline @inline(never)
  final func deliver() {
    guard beginDelivery() else {
      deferDelivery()
      return
    }
    deliverAll()
    leaveDelivery()
  }

  private final func deliverAll() {
    // What only wakes somebody goes first: no callback delays it.
    while let waiter = popWaiter() { waiter.deliver(self) }
    while true {
      var state = lock()
      switch state.nextDelivery() {
      case .callSlot:
        unlockAndCallSlot(state)
      case .callNextListed:
        let node = extras?.popFirst()
        if node == nil { state.endDelivery() }
        unlock(state)
        guard let node else { return }
        node.deliver(self)
      case .end:
        unlock(state)
        return
      }
    }
  }

  private final func popWaiter() -> Registration? {
    let state = lock()
    let waiter = extras?.waiters.popFirst()
    unlock(state)
    return waiter
  }

  private final func deferDelivery() {
    let thread = cf_thread()
    let deferred: DeferredDeliveries
    if let opaque = thread.pointee.deferred_deliveries {
      deferred = Unmanaged<DeferredDeliveries>.fromOpaque(opaque).takeUnretainedValue()
    } else {
      deferred = DeferredDeliveries()
      thread.pointee.deferred_deliveries = Unmanaged.passRetained(deferred).toOpaque()
    }
    deferred.futures.append(self)
  }

  private final func runDeferredDeliveries() {
    let thread = cf_thread()
    guard let opaque = thread.pointee.deferred_deliveries else { return }
    let deferred = Unmanaged<DeferredDeliveries>.fromOpaque(opaque).takeUnretainedValue()
    while let future = deferred.takeNext() { future.deliverAll() }
    thread.pointee.deferred_deliveries = nil
    Unmanaged<DeferredDeliveries>.fromOpaque(opaque).release()
  }
}
