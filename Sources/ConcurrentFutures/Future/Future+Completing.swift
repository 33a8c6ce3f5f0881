import CPlatformSupport

extension Future {
  // MARK: state

  /// Where the future stands now.
  @inlinable public var state: FutureState { acquired().state }

  /// Whether the future is cancelled or finished: its result will not change any more.
  @inlinable public var isDone: Bool { acquired().isDone }

  /// Whether its work has started and not ended.
  @inlinable public var isRunning: Bool { acquired().phase == FutureWord.running }

  /// Whether it was cancelled.
  @inlinable public var isCancelled: Bool { acquired().phase == FutureWord.cancelled }

  /// The result, or nil while there is none. Never blocks; a cancelled future gives `CancellationError`.
  @inlinable public var resultIfDone: Result<Success, any Error>? {
    let state = acquired()
    return state.isDone ? result(in: state) : nil
  }

  /// The result of a future that is done.
  @inlinable @inline(__always)
  func result(in state: FutureWord) -> Result<Success, any Error> {
    if state.hasValue { return .success(storedValue) }
    return .failure(failure(in: state))
  }

  @inlinable @inline(never)
  func failure(in state: FutureWord) -> any Error {
    if state.phase == FutureWord.cancelled { return CancellationError() }
    if !state.isObserved { markObserved() }
    return storedError
  }

  // MARK: completing

  /// Finishes the future with a value.
  ///
  /// The callbacks run in this thread before the call returns. The first completion wins: a second throws
  /// `InvalidStateError`, which names the state, and changes nothing. O(1) and the callbacks.
  @inlinable public func setResult(_ value: Success) throws(InvalidStateError) {
    var state = lock()
    let before = state
    let action = state.finish()
    if action == .lost {
      unlock(state)
      throw InvalidStateError(state: state.state, operation: "setResult")
    }
    let source = takeSourceIfAny(in: before)
    storeValue(value)
    state.bits |= Self.valueBits
    if action == .storeAndDeliver { unlockAndDeliver(state) } else { unlock(state) }
    source.release()
  }

  /// Finishes the future with an error.
  ///
  /// As ``setResult(_:)`` in all else.
  @inlinable public func setError(_ error: any Error) throws(InvalidStateError) {
    if !complete(with: .failure(error)) {
      throw InvalidStateError(state: state, operation: "setError")
    }
  }

  /// Finishes the future unless it is done, and says whether it did.
  ///
  /// The form for code that races with others, `cancel()` among them, for the right to complete.
  @inlinable @discardableResult
  public func complete(with result: Result<Success, any Error>) -> Bool {
    var state = lock()
    let before = state
    let action = state.finish()
    if action == .lost {
      unlock(state)
      return false
    }
    let source = takeSourceIfAny(in: before)
    switch result {
    case .success(let value):
      storeValue(value)
      state.bits |= Self.valueBits
    case .failure(let error):
      storeError(error)
      state.bits |= FutureWord.failed
    }
    if action == .storeAndDeliver { unlockAndDeliver(state) } else { unlock(state) }
    source.release()
    return true
  }

  /// Finishes the future unless it is done, in a thread that must not run callbacks. Wakes who waits.
  ///
  /// - Returns: whether somebody has to call ``_FutureCore/deliver()``, elsewhere.
  func completeLeavingDelivery(returning value: Success) -> Bool {
    completeLeavingDelivery { state in
      storeValue(value)
      state.bits |= Self.valueBits
    }
  }

  func completeLeavingDelivery(throwing error: any Error) -> Bool {
    completeLeavingDelivery { state in
      storeError(error)
      state.bits |= FutureWord.failed
    }
  }

  @inline(__always)
  private func completeLeavingDelivery(_ store: (inout FutureWord) -> Void) -> Bool {
    var state = lock()
    let before = state
    let action = state.finish()
    if action == .lost {
      unlock(state)
      return false
    }
    let source = takeSourceIfAny(in: before)
    store(&state)
    unlock(state)
    if action == .storeAndDeliver { wakeWaiters() }
    source.release()
    return action == .storeAndDeliver
  }

  /// Marks the future as running, before the work of a hand-made executor starts.
  ///
  /// - Returns: false if the future was cancelled: do not run the work.
  /// - Throws: `InvalidStateError` if it is running or finished already.
  public func setRunningOrNotifyCancel() throws(InvalidStateError) -> Bool {
    // A body that a pool has queued would be stranded by a foreign start.
    let action: FutureWord.StartAction = step { !hasWork || $0.phase != FutureWord.pending ? $0.start() : .invalid }
    switch action {
    case .run: return true
    case .skip: return false
    case .invalid: throw InvalidStateError(state: state, operation: "setRunningOrNotifyCancel")
    }
  }

  // MARK: cancelling

  /// Cancels the future, and with it the work that has not started.
  ///
  /// It wakes every waiter and runs the callbacks itself, in this thread, before it returns. Work that is running on a
  /// thread is not taken back: the call returns false and raises a request that the body can see
  /// (``CurrentWork/isCancelled``). Work of a process pool is stopped.
  ///
  /// - Returns: whether the future is cancelled now; true also when it was cancelled before.
  @discardableResult public func cancel() -> Bool {
    var state = lock()
    let before = state
    let action = state.cancel()
    switch action {
    case .alreadyCancelled:
      unlock(state)
      return true
    case .tooLate:
      unlock(state)
      return false
    case .request(let first):
      let producer = state.hasProducer ? peekProducer() : nil
      unlock(state)
      if first { producer?.cancellationWasRequested() }
      return false
    case .drop, .dropAndDeliver:
      let producer = before.hasProducer ? takeProducer() : nil
      let body = producer == nil ? takeSourceIfAny(in: before) : FutureSource()
      unlock(state)
      if let producer { passCancellation(to: producer) }
      body.release()
      if action == .dropAndDeliver { deliver() }
      return true
    }
  }

  /// Ends as cancelled, unless it is done: because what makes the value says so, not because somebody gave it up.
  ///
  /// The producer hears nothing of it: a race that ends because one of its futures was cancelled leaves the others alone.
  @usableFromInline func endAsCancelled() {
    var state = lock()
    let before = state
    let action = state.confirmCancellation()
    let source = action != .lost ? takeSourceIfAny(in: before) : FutureSource()
    unlock(state)
    source.release()
    if action == .storeAndDeliver { deliver() }
  }
}
