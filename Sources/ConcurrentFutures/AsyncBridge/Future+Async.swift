import Synchronization

extension Future {
  /// The future's value, once it has one.
  ///
  /// If the waiting Task is cancelled, the wait ends with `CancellationError` and the future goes on: others may wait for
  /// it, and only ``cancel()`` cancels it.
  ///
  /// - Throws: the future's error; `CancellationError` if the future or the waiting Task was cancelled.
  public nonisolated(nonsending) var value: Success {
    get async throws {
      if let result = resultIfDone { return try result.get() }
      try await TaskWaiter.wait(for: self, deadline: nil)
      return try resultIfDone!.get()
    }
  }

  /// The future's result, once it has one. A cancelled future, and a cancelled waiting Task, give `CancellationError`.
  public nonisolated(nonsending) var result: Result<Success, any Error> {
    get async {
      do { return .success(try await value) } catch { return .failure(error) }
    }
  }

  /// The future's value, if it has one within `limit`, counted from the call.
  ///
  /// - Throws: ``TimeoutError`` when the time has run out, which leaves the future and its other waiters alone; and what
  ///   ``value`` throws.
  public nonisolated(nonsending) func value(within limit: Duration) async throws -> Success {
    require(limit >= .zero, "limit must not be negative")
    if let result = resultIfDone { return try result.get() }
    let deadline = Deadline(after: limit)
    if try await TaskWaiter.wait(for: self, deadline: deadline) == .timedOut {
      throw TimeoutError(limit: limit, what: "the future")
    }
    return try resultIfDone!.get()
  }
}

/// A Task that is suspended until a future is done, the time has run out or the Task is cancelled; the first counts.
final class TaskWaiter: FutureObserver, @unchecked Sendable {
  enum Outcome {
    case done
    case timedOut
    case cancelled
  }

  /// The pure part: which of the events came first, and whether the Task sleeps already.
  struct Waiting {
    private enum State {
      case idle
      case suspended(UnsafeContinuation<Outcome, Never>)
      case ended(Outcome)
    }
    private var state = State.idle

    /// The Task wants to sleep; if it must not, returns why.
    mutating func suspend(_ continuation: UnsafeContinuation<Outcome, Never>) -> Outcome? {
      switch state {
      case .idle:
        state = .suspended(continuation)
        return nil
      case .ended(let outcome): return outcome
      case .suspended: preconditionFailure("a Task suspends once in one wait")
      }
    }

    /// Returns whom to resume with this outcome.
    mutating func end(_ outcome: Outcome) -> UnsafeContinuation<Outcome, Never>? {
      switch state {
      case .idle:
        state = .ended(outcome)
        return nil
      case .suspended(let continuation):
        state = .ended(outcome)
        return continuation
      case .ended: return nil
      }
    }
  }

  private let waiting = Mutex(Waiting())

  override var onlyWakes: Bool { true }
  override func futureDone(_ future: FutureCore, index: Int) { end(.done) }

  private func end(_ outcome: Outcome) {
    waiting.withLock { $0.end(outcome) }?.resume(returning: outcome)
  }

  @discardableResult
  nonisolated(nonsending) static func wait(
    for future: _FutureCore, deadline: Deadline?
  ) async throws -> Outcome {
    try Task.checkCancellation()
    let producer = deadline == nil && future.acquired().hasProducer ? future.producerCore() : nil
    defer { producer?.taskHasWaited() }
    if let producer, producer.taskWillWait(for: future) { return .done }
    let waiter = TaskWaiter()
    let added = future.addObserverCore(waiter, index: 0)
    if case .alreadyDone = added { return .done }
    let timer = deadline.map { Timers.schedule(at: $0) { waiter.end(.timedOut) } }
    let outcome = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        let outcome = waiter.waiting.withLock { $0.suspend(continuation) }
        if let outcome { continuation.resume(returning: outcome) }
      }
    } onCancel: {
      waiter.end(.cancelled)
    }
    timer?.cancel()
    if outcome != .done { future.removeObserver(waiter, index: 0, added) }
    if outcome == .cancelled { throw CancellationError() }
    return outcome
  }
}
