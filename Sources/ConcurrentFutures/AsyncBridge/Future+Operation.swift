import Synchronization

extension Future {
  /// A future of what an asynchronous operation returns or throws.
  ///
  /// The operation starts at once in a Task of its own, which inherits the caller's task-local values and, unless another is
  /// given, priority. Cancelling the future ends the future at once and cancels the Task; the operation's own end is then of
  /// no further interest.
  public convenience init(
    priority: TaskPriority? = nil, operation: @escaping @Sendable () async throws -> Success
  ) {
    let producer = TaskProducer()
    self.init(producer: producer, cancellableWhileRunning: true)
    _ = try? setRunningOrNotifyCancel()
    producer.run(
      Task(priority: priority) { [self] in
        do { complete(with: .success(try await operation())) } catch { complete(with: .failure(error)) }
      })
  }
}

/// Cancels the Task that makes a future's value.
final class TaskProducer: FutureProducer, @unchecked Sendable {
  private struct State {
    var task: Task<Void, Never>?
    var isCancelled = false
  }
  private let state = Mutex(State())

  /// The Task that runs; it is cancelled at once if the future was cancelled meanwhile.
  func run(_ task: Task<Void, Never>) {
    let isCancelled = state.withLock { state in
      state.task = task
      return state.isCancelled
    }
    if isCancelled { task.cancel() }
  }

  override func futureWasCancelled() { cancel() }
  override func cancellationWasRequested() { cancel() }

  private func cancel() {
    let task = state.withLock { state in
      state.isCancelled = true
      return state.task
    }
    task?.cancel()
  }
}
