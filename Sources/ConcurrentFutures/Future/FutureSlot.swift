// The slot: room inside a future for its earliest registration, so that one callback or one combinator costs no allocation.
// The lock guards it.

extension Future {
  @usableFromInline typealias Callback = @Sendable (Future<Success>) -> Void

  @usableFromInline enum Slot {
    case empty
    case callback(Callback)
    case observer(Int, FutureObserver)
  }

  /// Moves the registration out. The caller changes the word.
  @inlinable @inline(__always)
  func takeSlot() -> Slot {
    withUnsafeMutablePointer(to: &slot) { slot in
      let taken = slot.move()
      slot.initialize(to: .empty)
      return taken
    }
  }

  /// The same in code that is not specialised for the value's type: there to move the slot by its address is to ask the runtime for
  /// the slot's type each time, some 300 instructions, more than to retain and release what it holds.
  @inline(__always)
  func copySlotOut() -> Slot {
    let taken = slot
    slot = .empty
    return taken
  }

  @inlinable func slotIsOf(_ observer: FutureObserver) -> Bool {
    if case .observer(_, let current) = slot { current === observer } else { false }
  }

  func slotHolds(_ observer: FutureObserver, index: Int) -> Bool {
    if case .observer(index, let current) = slot { current === observer } else { false }
  }

  @inlinable @inline(__always)
  func call(_ registration: Slot) {
    switch registration {
    case .empty: break
    case .callback(let callback): callback(self)
    case .observer(let index, let observer): observer.futureDone(self, index: index)
    }
  }

  /// Gives the lock back and delivers: the one registration in the slot right here, anything else in ``deliver()``.
  @inlinable @inline(__always)
  func unlockAndDeliver(_ state: FutureWord) {
    let isOne = state.bits & (FutureWord.slotFull | FutureWord.listed) == FutureWord.slotFull
    var emptied = state
    emptied.emptySlot()
    if isOne, slotOnlyCounts, mayNest {
      emptied.endDelivery()
      let taken = takeSlot()
      unlock(emptied)
      call(taken)
    } else if isOne, beginDelivery() {
      let taken = takeSlot()
      unlock(emptied)
      call(taken)
      endDelivery(emptied)
    } else {
      unlock(state)
      deliver()
    }
  }

  @inlinable @inline(__always)
  var slotOnlyCounts: Bool {
    if case .observer(_, let observer) = slot { observer.onlyCounts } else { false }
  }
}
