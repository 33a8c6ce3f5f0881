import CPlatformSupport
import Synchronization

/// Names one registration of a callback, to remove it with ``Future/removeDoneCallback(_:)``.
public struct DoneCallbackToken: Sendable, Hashable {
  /// Never dereferenced: only tells futures apart, as long as they live.
  @usableFromInline let future: ObjectIdentifier
  /// Tells registrations apart, also those of a future that has got the address of one that is gone. 0 for none in a slot.
  @usableFromInline let slotSerial: UInt32
  @usableFromInline let registration: Registration?

  @usableFromInline init(future: ObjectIdentifier, slotSerial: UInt32 = 0, registration: Registration? = nil) {
    self.future = future
    self.slotSerial = slotSerial
    self.registration = registration
  }

  /// Whether both name the same registration.
  public static func == (a: DoneCallbackToken, b: DoneCallbackToken) -> Bool {
    a.future == b.future && a.slotSerial == b.slotSerial && a.registration === b.registration
  }

  /// Hashes the identity of the registration.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(future)
    hasher.combine(slotSerial)
    hasher.combine(registration.map(ObjectIdentifier.init))
  }
}

/// The next number of a registration. No two are the same in the process until four billion have been given.
///
/// Threads take them in blocks of 65,536: one counter for all would have them wait for each other.
@usableFromInline func nextSlotSerial() -> UInt32 {
  let thread = cf_thread()
  var serial = thread.pointee.slot_serial &+ 1
  // The end of a block, or a thread that has none. The first number of a block is not given, so that none is 0.
  if serial & 0xFFFF <= 1 { serial = slotSerialBlocks.add(1 << 16, ordering: .relaxed).newValue &+ 1 }
  thread.pointee.slot_serial = serial
  return serial
}

private let slotSerialBlocks = Atomic<UInt32>(0)

extension Future {
  /// A callback's registration beyond the first.
  @usableFromInline final class CallbackRegistration: Registration, @unchecked Sendable {
    // Belongs to the list's lock while linked, to the thread that unlinked the node afterwards.
    @exclusivity(unchecked) private var callback: (@Sendable (Future<Success>) -> Void)?
    @usableFromInline init(_ callback: @escaping @Sendable (Future<Success>) -> Void) { self.callback = callback }
    @usableFromInline override func deliver(_ future: FutureCore) {
      // Not `take()`: that asks the runtime for the metadata of the closure's type, each time.
      let taken = callback
      callback = nil
      taken?(unsafeDowncast(future, to: Future<Success>.self))
    }
    // A token may outlive the callback; what the callback captured need not.
    override func wasRemoved() { callback = nil }
  }

  /// Calls `callback` once, with this future, when the future is done, however it ends.
  ///
  /// Callbacks run in the order of their registration, in the thread that completes the future and under no lock. If the
  /// future is done, the callback runs at once in this thread; while earlier callbacks are still running, it queues behind
  /// them and the thread that runs those runs it too. A callback that ends other futures runs their callbacks nested, up to
  /// a depth of 16; deeper ones run when the stack has unwound. O(1).
  ///
  /// - Returns: a token for ``removeDoneCallback(_:)``.
  @inlinable @discardableResult
  public func addDoneCallback(_ callback: consuming @escaping @Sendable (Future) -> Void) -> DoneCallbackToken {
    var state = lock()
    switch state.register() {
    case .fillSlot:
      slot = .callback(consume callback)
      let serial = nextSlotSerial()
      slotSerial = serial
      unlock(state)
      return DoneCallbackToken(future: ObjectIdentifier(self), slotSerial: serial)
    case .append:
      return append(CallbackRegistration(consume callback), state)
    case .callNow:
      unlock(state)
      callback(self)
      return DoneCallbackToken(future: ObjectIdentifier(self))
    }
  }

  @usableFromInline func append(_ node: Registration, _ state: FutureWord) -> DoneCallbackToken {
    extrasWhileLocked().callbacks.append(node)
    unlock(state)
    return DoneCallbackToken(future: ObjectIdentifier(self), registration: node)
  }

  /// Removes a callback that has not been called. O(1).
  ///
  /// - Returns: false if it was called, is being called, was removed before, or belongs to another future.
  @discardableResult public func removeDoneCallback(_ token: DoneCallbackToken) -> Bool {
    guard token.future == ObjectIdentifier(self) else { return false }
    var state = lock()
    var removedSlot = Slot.empty
    var removed = false
    if let node = token.registration {
      removed = extras?.callbacks.remove(node) ?? false
      if removed, extras!.isEmpty { state.bits &= ~FutureWord.listed }
    } else if state.isSlotFull, case .callback = slot, token.slotSerial == slotSerial {
      removed = true
      removedSlot = copySlotOut()
      state.emptySlot()
    }
    unlock(state)
    _ = consume removedSlot
    if removed { token.registration?.wasRemoved() }
    return removed
  }
}

// MARK: registrations of the library itself

extension Future {
  /// Registers an observer of the library. If the future is done the observer is not called: the caller knows.
  ///
  /// Also while callbacks are still being delivered: what waits for a future must not wait for its callbacks, which may
  /// themselves wait for what it waits for.
  @inlinable
  func addObserver(_ observer: FutureObserver, index: Int, unlessThere: Bool = false) -> ObserverAdded {
    var state = lock()
    if state.isDone {
      unlock(state)
      return .alreadyDone
    }
    if unlessThere, state.isSlotFull, slotIsOf(observer) {
      unlock(state)
      return .thereAlready
    }
    switch state.register() {
    case .fillSlot:
      slot = .observer(index, observer)
      unlock(state)
      return .inSlot
    case .append:
      return appendObserver(observer, index: index, state)
    case .callNow:
      unlock(state)
      return .alreadyDone
    }
  }

  @usableFromInline func appendObserver(_ observer: FutureObserver, index: Int, _ state: FutureWord) -> ObserverAdded {
    let node = ObserverRegistration(observer, index: index)
    if observer.onlyWakes {
      extrasWhileLocked().waiters.append(node)
    } else {
      extrasWhileLocked().callbacks.append(node)
    }
    unlock(state)
    return .inList(node)
  }
}
