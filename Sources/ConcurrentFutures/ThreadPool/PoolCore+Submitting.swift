import CPlatformSupport

// The ways into a pool other than the plain one.

extension PoolCore {
  /// Queues an item that no other thread knows yet; where the queue's limit says so, blocks until there is room.
  func submitOrBlock(_ item: _PoolItem, _ lane: Lane) {
    if limit.isBounded, limit.whenFull == .block, Worker.current(of: self) == nil {
      if let signal = reservePlace() { _ = signal.waitUntilDone(deadline: nil) }
      submit(item, lane, .reserved, isNew: true)
    } else {
      submit(item, lane, isNew: true)
    }
  }

  /// Suspends while a bounded queue is full. The caller then has a place, or is a worker who needs none.
  func waitForPlace() async throws -> Admission {
    if !limit.isBounded || Worker.current(of: self) != nil { return .always }
    if let signal = reservePlace() {
      do { try await signal.value } catch {
        leaveLine(signal)
        throw error
      }
    }
    return .reserved
  }

  func beginAsyncBody() -> (any Error)? {
    withState { state in
      if let error = state.rejection(name: name) { return error }
      state.asyncBodyBegins()
      return nil
    }
  }

  func endAsyncBody(_ body: PoolBody) {
    withState { $0.asyncBodyEnds(body) }
    if hints.isEnding { signalEnd() }
  }

  /// `a` and `b` at once, if this is one of the pool's threads; else with `b` as ordinary work.
  func join(_ a: () -> Void, _ b: () -> Void) {
    if let worker = Worker.current(of: self) {
      worker._withUnsafeGuaranteedRef { join($0, a, b) }
    } else {
      joinFromOutside(a, b)
    }
  }

  private func joinFromOutside(_ a: () -> Void, _ b: () -> Void) {
    // Two words, as in a fork's frame: `withoutActuallyEscaping` would trap where whoever cancels or rejects the future is a
    // moment late in letting go of its body. Nobody calls the body of a future that is done.
    nonisolated(unsafe) let stored = cf_closure(storing: b)
    let future = Future<Void> { cf_call_closure(stored) }
    submit(future, priority: .medium)
    a()
    // Runs it here if nobody has begun, and where the pool takes nothing.
    future.runBody()
    _ = future.waitUntilDone(deadline: nil)
    if future.errorIfFailed() != nil { b() }
  }
}
