import CPlatformSupport

/// A value that is not there yet: the result of work that runs elsewhere, or of a promise that somebody keeps by hand.
///
/// A future is pending until it is completed, once, from any thread: with a value (``setResult(_:)``), with an error
/// (``setError(_:)``), or by ``cancel()``. The first wins. Observe it in whichever world you are in:
///
/// ```swift
/// let value = try await future.value                    // asynchronous code
/// let value = try future.wait(timeout: .seconds(1))     // synchronous code
/// future.addDoneCallback { print($0) }                  // callbacks, in the order of registration
/// ```
///
/// Waiting is independent: a waiter that times out, or whose Task is cancelled, stops waiting and leaves the future and its
/// other waiters alone. Only ``cancel()`` cancels a future, and reading a cancelled future throws `CancellationError`.
///
/// **Threads.** Callbacks run in the thread that completes the future, or at once in the thread that adds them to a future
/// that is done, and under no lock. While earlier callbacks of the same future are still running, a new one queues behind
/// them. A callback may do anything, also complete this or other futures; long work belongs on a pool.
///
/// **Cost.** One allocation of about 96 bytes for a small value; the first callback needs no further one unless it captures.
/// Completing, adding and removing a callback are O(1).
///
/// The semantics are those of Python's `concurrent.futures.Future`, except that `cancel()` itself wakes every waiter.
public final class Future<Success: Sendable>: _FutureCore, @unchecked Sendable {
  @usableFromInline @exclusivity(unchecked) final var slot: Slot = .empty
  /// Of the callback that the slot holds or held last: what its token says.
  @usableFromInline @exclusivity(unchecked) final var slotSerial: UInt32 = 0

  @inlinable override init(word: FutureWord, work: Work? = nil) { super.init(word: word, work: work) }

  /// A pending future, which its creator completes.
  @inlinable public convenience init() { self.init(word: FutureWord()) }

  /// A future that is finished with a value.
  @inlinable public static func succeeded(_ value: Success) -> Future {
    let future = Future(word: FutureWord(bits: FutureWord.finished | valueBits))
    future.storeValue(value)
    return future
  }

  /// A future that is finished with an error.
  @inlinable public static func failed(_ error: any Error) -> Future {
    let future = Future(word: FutureWord(bits: FutureWord.finished | FutureWord.failed))
    future.storeError(error)
    return future
  }

  /// A future whose maker hears of its cancellation.
  @usableFromInline convenience init(producer: FutureProducer, cancellableWhileRunning: Bool = false) {
    self.init(word: FutureWord(bits: FutureWord.produced | (cancellableWhileRunning ? FutureWord.stoppable : 0)))
    storeProducer(producer)
  }

  deinit {
    let state = acquired()
    if state.isFailed && !state.isObserved { FutureDiagnostics.reportUnobserved(self) }
    if extras == nil && !state.isSlotFull && payloadIsTrivial(in: state) { return }
    // A pending future may own the next one of a long chain through its callbacks, a finished one through its value.
    DeferredRelease.perform {
      slot = .empty
      extras = nil
      takeSourceIfAny(in: state).release()
      destroyResult(in: state)
    } orLater: {
      Leftovers(state: state, self)
    }
  }

  // MARK: what the core asks of the part that knows the type

  @usableFromInline override func unlockAndCallSlot(_ state: FutureWord) {
    let taken = copySlotOut()
    unlock(state)
    call(taken)
  }

  @usableFromInline override func takeSlotWaiter() -> (FutureObserver, Int)? {
    var state = lock()
    var waiter: (FutureObserver, Int)?
    if state.isSlotFull, case .observer(let index, let observer) = slot, observer.onlyWakes {
      waiter = (observer, index)
      slot = .empty
      state.emptySlot()
    }
    unlock(state)
    return waiter
  }

  @usableFromInline
  override func addObserverCore(_ observer: FutureObserver, index: Int, unlessThere: Bool) -> ObserverAdded {
    addObserver(observer, index: index, unlessThere: unlessThere)
  }

  @usableFromInline @discardableResult
  override func removeObserver(_ observer: FutureObserver, index: Int, _ added: ObserverAdded) -> Bool {
    var state = lock()
    var removed = false
    var removedSlot = Slot.empty
    switch added {
    case .alreadyDone, .thereAlready: break
    case .inSlot:
      if state.isSlotFull, slotHolds(observer, index: index) {
        removedSlot = copySlotOut()
        state.emptySlot()
        removed = true
      }
    case .inList(let node):
      if let extras {
        removed = observer.onlyWakes ? extras.waiters.remove(node) : extras.callbacks.remove(node)
        if removed, extras.isEmpty { state.bits &= ~FutureWord.listed }
      }
    }
    unlock(state)
    _ = consume removedSlot
    return removed
  }

  @usableFromInline override func cancelCore() -> Bool { cancel() }
  override func producerCore() -> FutureProducer? {
    let state = lock()
    defer { unlock(state) }
    return state.hasProducer ? peekProducer() : nil
  }
  @usableFromInline override func errorIfFailed() -> (any Error)? {
    let state = acquired()
    if !state.isDone || state.hasValue { return nil }
    return failure(in: state)
  }
  @usableFromInline override var isSpent: Bool { acquired().phase != FutureWord.pending }
  @usableFromInline override var isAskedToStop: Bool {
    let state = acquired()
    return state.isCancelRequested || state.phase == FutureWord.cancelled
  }
  @usableFromInline override func cancelBeforeStart() { cancel() }
  @usableFromInline override func rejected(because error: any Error) { complete(with: .failure(error)) }

  /// What a future owned that died while its thread was releasing another.
  private final class Leftovers: DeferredRelease {
    private let slot: Slot
    private let extras: FutureExtras?
    private let source: FutureSource
    private let result: Result<Success, any Error>?

    init(state: FutureWord, _ future: Future) {
      slot = future.copySlotOut()
      extras = future.extras
      future.extras = nil
      source = future.takeSourceIfAny(in: state)
      result = future.takeResult(in: state)
    }

    deinit { source.release() }
  }
}
