/// The state of a future in one word: the pure state machine behind ``Future``.
///
/// ```
/// pending ──start──▶ running ──finish──▶ finished
///    │ ╲                │  ╲
///    │  ╲──finish───────┼───╲──────────▶ finished
///    │                  │
///    ╰──cancel──────────┴──cancel, if stoppable──▶ cancelled
/// ```
/// Every method is one event: it changes the copy that it is called on and says what its caller has to do. The owner
/// (``FutureCore``) makes the change visible in one atomic step, then acts.
@usableFromInline
struct FutureWord: Equatable, Sendable {
  @usableFromInline var bits: UInt32

  @inlinable init(bits: UInt32 = 0) { self.bits = bits }

  // Two bits of phase; the upper one means "done".
  @usableFromInline static let phaseMask: UInt32 = 0b11
  @usableFromInline static let pending: UInt32 = 0b00
  @usableFromInline static let running: UInt32 = 0b01
  @usableFromInline static let cancelled: UInt32 = 0b10
  @usableFromInline static let finished: UInt32 = 0b11
  @usableFromInline static let doneBit: UInt32 = 0b10

  /// Somebody is inside a critical section of a few instructions (see ``FutureCore/lock()``).
  @usableFromInline static let locked: UInt32 = 1 << 2
  /// The future's own slot holds a registration, the earliest of all.
  @usableFromInline static let slotFull: UInt32 = 1 << 3
  /// A thread is running the callbacks; later ones queue behind it, which is what keeps them in order.
  @usableFromInline static let delivering: UInt32 = 1 << 4
  /// `cancel()` was called on running work that it could not take back.
  @usableFromInline static let cancelRequested: UInt32 = 1 << 5
  /// Somebody has read the error of this future.
  @usableFromInline static let observed: UInt32 = 1 << 6
  /// `cancel()` ends this future even while it is running.
  @usableFromInline static let stoppable: UInt32 = 1 << 7
  /// The lists of the extras may hold registrations.
  @usableFromInline static let listed: UInt32 = 1 << 8
  /// With `finished`: the payload is an error.
  @usableFromInline static let failed: UInt32 = 1 << 9

  /// Not done: the payload holds a producer.
  @usableFromInline static let produced: UInt32 = 1 << 10
  /// With `finished`: the payload is a value that has to be destroyed.
  @usableFromInline static let owning: UInt32 = 1 << 11

  @inlinable var phase: UInt32 { bits & Self.phaseMask }
  @inlinable var isDone: Bool { bits & Self.doneBit != 0 }
  @inlinable var isLocked: Bool { bits & Self.locked != 0 }
  @inlinable var isSlotFull: Bool { bits & Self.slotFull != 0 }
  @inlinable var isListed: Bool { bits & Self.listed != 0 }
  /// Whether ending the future calls somebody.
  var hasObservers: Bool { bits & (Self.slotFull | Self.listed) != 0 }
  @inlinable var isDelivering: Bool { bits & Self.delivering != 0 }
  @inlinable var isCancelRequested: Bool { bits & Self.cancelRequested != 0 }
  /// Finished, and with a value.
  @inlinable var hasValue: Bool { bits & (Self.phaseMask | Self.failed) == Self.finished }
  @inlinable var isFailed: Bool { bits & Self.failed != 0 }
  @inlinable var hasProducer: Bool { bits & Self.produced != 0 }
  @inlinable var isObserved: Bool { bits & Self.observed != 0 }

  @inlinable var state: FutureState {
    switch phase {
    case Self.pending: .pending
    case Self.running: .running
    case Self.cancelled: .cancelled
    default: .finished
    }
  }

  @usableFromInline enum FinishAction: Equatable {
    /// It was done before; the new result is dropped.
    case lost
    /// Store the result; nobody waits for it.
    case store
    /// Store the result, then deliver it to the registrations.
    case storeAndDeliver
  }

  @inlinable mutating func finish() -> FinishAction {
    if isDone { return .lost }
    return end(as: Self.finished) ? .storeAndDeliver : .store
  }

  @usableFromInline enum CancelAction: Equatable {
    /// It was cancelled before.
    case alreadyCancelled
    /// It has finished: too late.
    case tooLate
    /// It is running and can only be asked to stop; `first` is false where it was asked before.
    case request(first: Bool)
    /// Drop the work; nobody waits.
    case drop
    /// Drop the work, then deliver the cancellation.
    case dropAndDeliver
  }

  @inlinable mutating func cancel() -> CancelAction {
    switch phase {
    case Self.cancelled: return .alreadyCancelled
    case Self.finished: return .tooLate
    case Self.running where bits & Self.stoppable == 0:
      let first = !isCancelRequested
      bits |= Self.cancelRequested
      return .request(first: first)
    default:
      return end(as: Self.cancelled) ? .dropAndDeliver : .drop
    }
  }

  /// What makes the value was cancelled, or has stopped after it was asked to.
  mutating func confirmCancellation() -> FinishAction {
    if isDone { return .lost }
    return end(as: Self.cancelled) ? .storeAndDeliver : .store
  }

  @usableFromInline enum StartAction: Equatable {
    /// The caller runs the work.
    case run
    /// It was cancelled: do not run.
    case skip
    /// It is running or finished already.
    case invalid
  }

  @inlinable mutating func start() -> StartAction {
    switch phase {
    case Self.pending:
      bits |= Self.running
      return .run
    case Self.cancelled: return .skip
    default: return .invalid
    }
  }

  @usableFromInline enum RegisterAction: Equatable {
    /// The future is done and delivered: call back at once.
    case callNow
    /// Put it into the slot.
    case fillSlot
    /// Append it to a list.
    case append
  }

  @inlinable mutating func register() -> RegisterAction {
    if isDone && !isDelivering { return .callNow }
    if bits & (Self.slotFull | Self.listed) == 0 {
      bits |= Self.slotFull
      return .fillSlot
    }
    bits |= Self.listed
    return .append
  }

  @inlinable mutating func emptySlot() { bits &= ~Self.slotFull }

  @usableFromInline enum DeliverAction: Equatable {
    /// Take the slot's registration, which is the earliest, and call it.
    case callSlot
    /// Take the first of the lists and call it; if there is none, the delivery is over after ``endDelivery()``.
    case callNextListed
    /// Everything is delivered.
    case end
  }

  /// The delivering thread asks what comes next.
  @inlinable mutating func nextDelivery() -> DeliverAction {
    if isSlotFull {
      emptySlot()
      return .callSlot
    }
    if isListed { return .callNextListed }
    endDelivery()
    return .end
  }

  @inlinable mutating func endDelivery() { bits &= ~(Self.delivering | Self.listed) }

  /// Whether there is something to deliver.
  @inlinable mutating func end(as phase: UInt32) -> Bool {
    let deliver = bits & (Self.slotFull | Self.listed) != 0
    bits = (bits & ~(Self.phaseMask | Self.produced)) | phase | (deliver ? Self.delivering : 0)
    return deliver
  }
}
