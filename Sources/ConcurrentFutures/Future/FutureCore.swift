import CPlatformSupport
public import Synchronization

/// The part of a future that does not depend on the type of its value: its state, its lock and its list of registrations.
///
/// **The lock** is one bit of the state word. A critical section is a handful of instructions, never runs foreign code and
/// never blocks; who finds it taken spins, then gives its core away. Whoever holds it is the only one who changes the word,
/// so it is given back with a plain store of the new state (release), which every reader of that state synchronises with
/// (acquire). Two steps that need nothing but the word (`start`, `endDelivery`) are a compare-and-swap that fails while the
/// lock is held.
///
/// **Who owns what.** Pending and running: the body (in ``Future``) belongs to whoever wins the step out of `pending`, under
/// the lock or by the compare-and-swap of `start`. Done: the result is never written again, so that a reader who saw the
/// done bit reads it without the lock. The slot and the list belong to the lock, also while they are being delivered.
@_documentation(visibility: internal)
public class _FutureCore: _PoolItem, @unchecked Sendable {
  @usableFromInline final let word: Atomic<UInt32>
  @usableFromInline @exclusivity(unchecked) final var extras: FutureExtras?
  /// Raw memory for the body before it starts and the result after the end; see ``FuturePayload``.
  @usableFromInline @exclusivity(unchecked) final var payload: FuturePayload = (0, 0)

  /// Where the payload is in the object: behind the object's header and what is declared before it. A test holds it to that.
  @inlinable static var payloadOffset: Int { 2 * MemoryLayout<Int>.size + 4 * MemoryLayout<UInt>.size }

  @inlinable init(word: FutureWord, work: Work? = nil) {
    self.word = Atomic(word.bits)
    super.init(work: work)
  }

  /// Takes the slot's registration out, gives the lock back with `state`, and calls the registration.
  @usableFromInline func unlockAndCallSlot(_ state: FutureWord) { preconditionFailure("abstract") }
  /// Takes the slot's registration out if it only wakes somebody.
  @usableFromInline func takeSlotWaiter() -> (FutureObserver, Int)? { preconditionFailure("abstract") }
  /// Registers an observer of the library; if the future is done, it is not called, for the caller knows.
  ///
  /// - Parameter unlessThere: not if the slot holds a registration of this observer, under whatever index.
  @usableFromInline
  func addObserverCore(_ observer: FutureObserver, index: Int, unlessThere: Bool = false) -> ObserverAdded {
    preconditionFailure("abstract")
  }
  /// Takes an observer's registration back. False if it was delivered or is being delivered.
  @usableFromInline @discardableResult
  func removeObserver(_ observer: FutureObserver, index: Int, _ added: ObserverAdded) -> Bool {
    preconditionFailure("abstract")
  }
  /// `cancel()` for those who do not know the type.
  @usableFromInline @discardableResult func cancelCore() -> Bool { preconditionFailure("abstract") }
  /// Who makes the value of a future that is not done, where somebody is known.
  func producerCore() -> FutureProducer? { preconditionFailure("abstract") }
  /// The error of a failed or cancelled future.
  @usableFromInline func errorIfFailed() -> (any Error)? { preconditionFailure("abstract") }
}

@usableFromInline typealias FutureCore = _FutureCore

// MARK: the word and its lock

extension _FutureCore {
  @inlinable @inline(__always)
  final func acquired() -> FutureWord { FutureWord(bits: word.load(ordering: .acquiring)) }

  @inlinable @inline(__always)
  final func lock() -> FutureWord {
    tryLock() ?? lockContended()
  }

  /// Nil if another thread holds the lock, or without a reason.
  @inlinable @inline(__always)
  final func tryLock() -> FutureWord? {
    let bits = word.load(ordering: .relaxed)
    guard bits & FutureWord.locked == 0,
      word.weakCompareExchange(
        expected: bits, desired: bits | FutureWord.locked, successOrdering: .acquiring, failureOrdering: .relaxed
      ).exchanged
    else { return nil }
    return FutureWord(bits: bits)
  }

  @usableFromInline @inline(never)
  final func lockContended() -> FutureWord {
    var spins = 0
    while true {
      if let word = tryLock() { return word }
      spins += 1
      // The holder needs some nanoseconds, unless it lost its core: then it needs ours.
      if spins & 63 == 0 { sched_yield() } else { cf_pause() }
    }
  }

  @inlinable @inline(__always)
  final func unlock(_ new: FutureWord) { word.store(new.bits, ordering: .releasing) }

  /// One event that touches nothing but the word.
  @inlinable @inline(__always)
  final func step<Action>(_ event: (inout FutureWord) -> Action) -> Action {
    var new = lock()
    let action = event(&new)
    unlock(new)
    return action
  }

  /// The step from pending to running. Acquires, so that the caller may take the body.
  @inlinable
  final func start() -> FutureWord.StartAction {
    while true {
      let old = acquired()
      if old.isLocked {
        return step { $0.start() }
      }
      var new = old
      let action = new.start()
      if action != .run { return action }
      if word.weakCompareExchange(
        expected: old.bits, desired: new.bits, successOrdering: .acquiring, failureOrdering: .relaxed
      ).exchanged {
        return .run
      }
    }
  }

  /// The future's own extras, made on first use. Under the lock.
  @usableFromInline final func extrasWhileLocked() -> FutureExtras {
    if let extras { return extras }
    let made = FutureExtras()
    extras = made
    return made
  }

  @usableFromInline final func markObserved() {
    if !acquired().isObserved { step { $0.bits |= FutureWord.observed } }
  }
}
