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
// million `map`s therefore needs a constant amount of stack. Cancellation, which goes the same chain in the other direction,
// nests by the same rule. A callback that blocks in `wait` first runs what its thread has put off: it may be waiting for
// that. Before a wait with a time limit another thread runs it, since callbacks may take longer than the limit. A call that ends
// many futures puts all their deliveries off until the last of them is done, for the same reason (`endTogether`).

private let maximumDepth: UInt32 = 16

/// What a thread has put off; lives in the frame of its outermost delivery.
private final class DeferredDeliveries {
  enum Item {
    case delivery(_FutureCore)
    case cancellation(FutureProducer)
  }

  private var items = CompactingQueue<Item>()

  func append(_ item: Item) { items.append(item) }
  func takeNext() -> Item? { items.popFirst() }
  func takeAll() -> DeferredDeliveries? {
    guard items.count > 0 else { return nil }
    let all = DeferredDeliveries()
    swap(&all.items, &items)
    return all
  }
}

extension _FutureCore {
  /// Ends several futures. No callback runs before all of them are done: it may wait for another of them.
  static func endTogether(_ body: () -> Void) {
    let thread = cf_thread()
    let depth = thread.pointee.delivery_depth
    thread.pointee.delivery_depth = maximumDepth
    body()
    thread.pointee.delivery_depth = depth
    // Where that is too deep already, the outermost delivery comes to them.
    guard beginNested() else { return }
    deliverWhatWasPutOff()
    leaveDelivery()
  }

  /// Whether a delivery may nest here. If so, ``endDelivery(_:)`` has to follow.
  @usableFromInline final func beginDelivery() -> Bool { Self.beginNested() }

  /// Whether something that runs callbacks may begin here.
  @usableFromInline final var mayNest: Bool { cf_thread().pointee.delivery_depth < maximumDepth }

  /// Runs `body`, which ends another future, as a part of a delivery. Where that is too deep already, what it ends is put off.
  static func nested(_ body: () -> Void) {
    let begun = beginNested()
    body()
    if begun { leaveDelivery() }
  }

  private static func beginNested() -> Bool {
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
    Self.leaveDelivery()
  }

  private static func leaveDelivery() {
    let thread = cf_thread()
    if thread.pointee.delivery_depth == 1, thread.pointee.deferred_deliveries != nil { runDeferredDeliveries() }
    thread.pointee.delivery_depth -= 1
  }

  /// Runs every registration. The caller has just put the word into `delivering`.
  @usableFromInline @inline(never)
  final func deliver() {
    guard beginDelivery() else {
      // Whoever merely waits may be waited for by a callback further up the stack.
      wakeWaiters()
      putOff(.delivery(self))
      return
    }
    deliverAll()
    Self.leaveDelivery()
  }

  /// Tells the producer that its future was cancelled: it may cancel what the future waited for, which may do the same.
  final func passCancellation(to producer: FutureProducer) {
    guard beginDelivery() else {
      putOff(.cancellation(producer))
      return
    }
    producer.futureWasCancelled()
    Self.leaveDelivery()
  }

  private final func deliverAll() {
    wakeListedWaiters()
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

  /// What only wakes somebody goes first: no callback delays it.
  private final func wakeListedWaiters() {
    while let waiter = popWaiter() { waiter.deliver(self) }
  }

  final func wakeWaiters() {
    if let (waiter, index) = takeSlotWaiter() { waiter.futureDone(self, index: index) }
    wakeListedWaiters()
  }

  private final func popWaiter() -> Registration? {
    let state = lock()
    let waiter = extras?.waiters.popFirst()
    unlock(state)
    return waiter
  }

  private final func putOff(_ item: DeferredDeliveries.Item) {
    let thread = cf_thread()
    let deferred: DeferredDeliveries
    if let opaque = thread.pointee.deferred_deliveries {
      deferred = Unmanaged<DeferredDeliveries>.fromOpaque(opaque).takeUnretainedValue()
    } else {
      deferred = DeferredDeliveries()
      thread.pointee.deferred_deliveries = Unmanaged.passRetained(deferred).toOpaque()
    }
    deferred.append(item)
  }

  /// Before this thread sleeps. The list stays: it belongs to the outermost delivery.
  final func deliverWhatWasPutOff() { Self.deliverWhatWasPutOff() }

  private static func deliverWhatWasPutOff() {
    guard let opaque = cf_thread().pointee.deferred_deliveries else { return }
    deliver(Unmanaged<DeferredDeliveries>.fromOpaque(opaque).takeUnretainedValue())
  }

  private static func deliver(_ deferred: DeferredDeliveries) {
    while let item = deferred.takeNext() {
      switch item {
      case .delivery(let future): future.deliverAll()
      case .cancellation(let producer): producer.futureWasCancelled()
      }
    }
  }

  /// Before this thread sleeps for a limited time: another thread does it, in the same order.
  @inline(never)
  final func haveDeliveredWhatWasPutOff() {
    guard let opaque = cf_thread().pointee.deferred_deliveries else { return }
    let deferred = Unmanaged<DeferredDeliveries>.fromOpaque(opaque).takeUnretainedValue()
    guard let all = deferred.takeAll() else { return }
    let handedOver = UncheckedDeferred(deferred: all)
    let isStarted = startDetachedThread(name: "futures-deliver") {
      cf_thread().pointee.delivery_depth += 1
      Self.deliver(handedOver.deferred)
      Self.leaveDelivery()
    }
    // Late is better than never.
    if !isStarted { Self.deliver(all) }
  }

  /// One thread at a time has it.
  private struct UncheckedDeferred: @unchecked Sendable { let deferred: DeferredDeliveries }

  private static func runDeferredDeliveries() {
    deliverWhatWasPutOff()
    let thread = cf_thread()
    guard let opaque = thread.pointee.deferred_deliveries else { return }
    thread.pointee.deferred_deliveries = nil
    Unmanaged<DeferredDeliveries>.fromOpaque(opaque).release()
  }
}
