import Synchronization

/// The queue behind `asCompleted`: futures enter it as they are done and leave it as they are asked for.
///
/// It registers with each future once, so that a completion costs O(1) however many futures there are; it lets go of each
/// future when it is handed out. Futures that are not done hold the queue through their registrations and the queue holds
/// them; ``abandon()`` ends that.
final class CompletionQueue<S: Sendable>: FutureObserver, @unchecked Sendable {
  enum Taken {
    case future(Future<S>)
    /// All have been handed out.
    case end
    /// None is done; come again when the given signal is.
    case wait(Future<Void>)
  }

  private struct State {
    /// In the order of completion; the first `taken` are gone.
    var completed: [Future<S>?] = []
    var taken = 0
    /// Those that are still to be handed out.
    var remaining: Int
    /// Completed when something enters; made when a consumer finds nothing.
    var signal: Future<Void>?
  }

  private let state: Mutex<State>
  private let watched: Watched

  init(_ futures: [Future<S>]) {
    state = Mutex(State(remaining: futures.count))
    watched = Watched(futures)
  }

  func start() { watched.register(self) }

  override func futureDone(_ future: FutureCore, index: Int) {
    watched.forget(index)
    let future = unsafeDowncast(future, to: Future<S>.self)
    let signal = state.withLock { state in
      state.completed.append(future)
      return state.signal.take()
    }
    signal?.complete(with: .success(()))
  }

  func take() -> Taken {
    state.withLock { state in
      if state.taken < state.completed.count {
        let future = state.completed[state.taken].take()!
        state.taken += 1
        state.remaining -= 1
        if state.taken == state.completed.count {
          state.completed.removeAll(keepingCapacity: true)
          state.taken = 0
        }
        return .future(future)
      }
      if state.remaining == 0 { return .end }
      if let signal = state.signal { return .wait(signal) }
      let signal = Future<Void>()
      state.signal = signal
      return .wait(signal)
    }
  }

  /// How many have not been handed out.
  var remaining: Int { state.withLock { $0.remaining } }

  func abandon() { watched.removeRegistrations(of: self) }
}

/// Whoever iterates holds one of these; when the last is gone, the registrations are taken back.
final class CompletionQueueHandle<S: Sendable>: Sendable {
  let queue: CompletionQueue<S>
  let deadline: Deadline?
  let limit: Duration
  let total: Int

  init(_ futures: some Sequence<Future<S>>, limit: Duration? = nil) {
    if let limit {
      precondition(limit >= .zero, "timeout must not be negative")
    }
    deadline = limit.map(Deadline.init(after:))
    self.limit = limit ?? .zero
    var seen: Set<Future<S>> = []
    let distinct = futures.filter { seen.insert($0).inserted }
    total = distinct.count
    queue = CompletionQueue(distinct)
    queue.start()
  }

  deinit { queue.abandon() }

  /// The next future that is done, waiting for it in this thread; nil when all have been handed out.
  func next() throws(TimeoutError) -> Future<S>? {
    while true {
      switch queue.take() {
      case .future(let future): return future
      case .end: return nil
      case .wait(let signal):
        if !signal.waitUntilDone(deadline: deadline) { throw timeoutError }
      }
    }
  }

  /// The same for a Task; nil also when the Task is cancelled.
  func next() async throws(TimeoutError) -> Future<S>? {
    while true {
      switch queue.take() {
      case .future(let future): return future
      case .end: return nil
      case .wait(let signal):
        guard let outcome = try? await TaskWaiter.wait(for: signal, deadline: deadline) else { return nil }
        if outcome == .timedOut { throw timeoutError }
      }
    }
  }

  private var timeoutError: TimeoutError {
    TimeoutError(limit: limit, what: "\(queue.remaining) of \(total) futures")
  }
}
