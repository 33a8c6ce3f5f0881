// The ways into a pool other than the plain one.

extension PoolCore {
  /// Queues an item; where the queue's limit says so, blocks until there is room.
  func submitOrBlock(_ item: _PoolItem, priority: TaskPriority) {
    if limit.isBounded, limit.whenFull == .block, Worker.current?.core !== self {
      if let signal = reservePlace() { _ = signal.waitUntilDone(deadline: nil) }
      submit(item, priority: priority, .reserved)
    } else {
      submit(item, priority: priority)
    }
  }

  /// Suspends while a bounded queue is full. The caller then has a place, or is a worker who needs none.
  func waitForPlace() async throws -> Admission {
    if !limit.isBounded || Worker.current?.core === self { return .always }
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
    if let worker = Worker.current, worker.core === self {
      join(worker, a, b)
      return
    }
    withoutActuallyEscaping(b) { b in
      nonisolated(unsafe) let b = b
      let future = Future<Void> { b() }
      submit(future, priority: .medium)
      a()
      // Runs it here if nobody has begun, and where the pool takes nothing.
      future.runBody()
      _ = future.waitUntilDone(deadline: nil)
      if future.errorIfFailed() != nil { b() }
    }
  }
}
