import CPlatformSupport
import Synchronization

/// The queue behind `asCompleted`: futures enter it as they are done and leave it as they are asked for.
///
/// It registers with each future once, so that a completion costs O(1) however many futures there are, and lets go of each
/// when it is handed out. Futures that are not done hold the queue through their registrations, and the queue holds them;
/// ``abandon()`` ends that.
///
/// Two locks, so that who completes and who consumes seldom meet: `incoming` belongs to the completing threads, `outgoing`
/// to the consumers, who take all that has come in at once.
final class CompletionQueue: FutureObserver, @unchecked Sendable {
  enum Taken {
    case future(_FutureCore)
    /// All have been handed out.
    case end
    /// None is done.
    case nothing
    /// None is done; come again when the given signal is.
    case wait(Future<Void>)
  }

  private struct Incoming {
    /// Those that are not done, by the index of their registration.
    var waiting: [_FutureCore?]
    /// Only of those that did not fit into their future's slot.
    var nodes: [Int: Registration] = [:]
    /// In the order of completion.
    var completed: [_FutureCore] = []
    /// Completed when something enters; made when a consumer finds nothing.
    var signal: Future<Void>?
    /// How many will enter yet. Duplicates leave early.
    var expected: Int
  }

  private struct Outgoing {
    /// What was taken over, the next one last.
    var ready: [_FutureCore] = []
  }

  private let incoming: AdaptivelyLocked<Incoming>
  private let outgoing = Mutex(Outgoing())
  /// Whether something has come in, for consumers that look without the lock.
  private let hasArrived = Atomic(false)
  let total: Int

  init(_ futures: [_FutureCore]) {
    incoming = AdaptivelyLocked(Incoming(waiting: futures.map(Optional.some), expected: futures.count))
    total = futures.count
  }

  /// Registers with each future.
  ///
  /// A future that is given twice is found out by the registration in its slot. Once a future is done or has its slot taken
  /// by others that does not tell any more, and all are looked up in a set from there on.
  func start() {
    let futures = incoming.withLock { $0.waiting.map { $0! } }
    var seen: Set<ObjectIdentifier>?
    for (index, future) in futures.enumerated() {
      if let isNew = seen?.insert(ObjectIdentifier(future)).inserted {
        if !isNew {
          dropDuplicate(index)
          continue
        }
      } else if future.isObserved(by: self) {
        dropDuplicate(index)
        continue
      }
      let added = future.addObserverCore(self, index: index)
      if case .inSlot = added { continue }
      if seen == nil {
        seen = Set(futures[..<index].lazy.map { ObjectIdentifier($0) })
        if !seen!.insert(ObjectIdentifier(future)).inserted {
          future.removeObserver(self, index: index, added)
          dropDuplicate(index)
          continue
        }
      }
      switch added {
      case .inSlot: break
      case .inList(let node): incoming.withLock { if $0.waiting[index] != nil { $0.nodes[index] = node } }
      case .alreadyDone: futureDone(future, index: index)
      }
    }
  }

  private func dropDuplicate(_ index: Int) {
    let (future, signal) = incoming.withLock { incoming in
      incoming.expected -= 1
      return (incoming.waiting[index].take(), incoming.signal.take())
    }
    _ = future
    signal?.complete(with: .success(()))
  }

  override func futureDone(_ future: FutureCore, index: Int) {
    let (signal, node) = incoming.withLock { incoming -> (Future<Void>?, Registration?) in
      guard let future = incoming.waiting[index].take() else { return (nil, nil) }
      incoming.completed.append(future)
      incoming.expected -= 1
      if !hasArrived.load(ordering: .relaxed) { hasArrived.store(true, ordering: .relaxed) }
      return (incoming.signal.take(), incoming.nodes.isEmpty ? nil : incoming.nodes.removeValue(forKey: index))
    }
    _ = node
    signal?.complete(with: .success(()))
  }

  /// - Parameter mayWait: whether the caller wants a signal when there is nothing.
  func take(mayWait: Bool = true) -> Taken {
    outgoing.withLock { outgoing in
      if let future = outgoing.ready.popLast() { return .future(future) }
      return incoming.withLock { incoming in
        if !incoming.completed.isEmpty {
          swap(&outgoing.ready, &incoming.completed)
          hasArrived.store(false, ordering: .relaxed)
          outgoing.ready.reverse()
          return .future(outgoing.ready.removeLast())
        }
        if incoming.expected == 0 { return .end }
        if !mayWait { return .nothing }
        if let signal = incoming.signal { return .wait(signal) }
        let signal = Future<Void>()
        incoming.signal = signal
        return .wait(signal)
      }
    }
  }

  /// Whether something has come in within a short time. Lets a few come in at once: taking each by itself would have the
  /// two threads fight for the lock.
  func spin() -> Bool {
    guard Spinning.until({ hasArrived.load(ordering: .relaxed) }) else { return false }
    for _ in 0..<32 { cf_pause() }
    return true
  }

  /// How many have not been handed out.
  var remaining: Int {
    outgoing.withLock { outgoing in incoming.withLock { $0.expected + $0.completed.count } + outgoing.ready.count }
  }

  /// Takes all registrations back and forgets the futures.
  func abandon() {
    let (futures, nodes) = incoming.withLock { incoming in
      defer {
        incoming.waiting = Array(repeating: nil, count: incoming.waiting.count)
        incoming.nodes = [:]
      }
      return (incoming.waiting, incoming.nodes)
    }
    for (index, future) in futures.enumerated() {
      future?.removeObserver(self, index: index, nodes[index].map(ObserverAdded.inList) ?? .inSlot)
    }
  }
}

/// Whoever iterates holds one of these; when the last is gone, the registrations are taken back.
@usableFromInline
final class CompletionQueueHandle: Sendable {
  private let queue: CompletionQueue
  let deadline: Deadline?
  private let limit: Duration

  @usableFromInline init(_ futures: [_FutureCore], limit: Duration? = nil) {
    if let limit {
      require(limit >= .zero, "timeout must not be negative")
    }
    deadline = limit.map(Deadline.init(after:))
    self.limit = limit ?? .zero
    queue = CompletionQueue(futures)
    queue.start()
  }

  deinit { queue.abandon() }

  /// The next future that is done, waiting for it in this thread; nil when all have been handed out.
  @usableFromInline func next() throws(TimeoutError) -> _FutureCore? {
    var mayWait = false
    while true {
      switch queue.take(mayWait: mayWait) {
      case .future(let future): return future
      case .end: return nil
      case .nothing: mayWait = !queue.spin()
      case .wait(let signal):
        if !signal.waitUntilDone(deadline: deadline) { throw timeoutError }
      }
    }
  }

  /// The same for a Task; nil also when the Task is cancelled.
  @usableFromInline func next() async throws(TimeoutError) -> _FutureCore? {
    while true {
      switch queue.take() {
      case .future(let future): return future
      case .end: return nil
      case .nothing: continue
      case .wait(let signal):
        guard let outcome = try? await TaskWaiter.wait(for: signal, deadline: deadline) else { return nil }
        if outcome == .timedOut { throw timeoutError }
      }
    }
  }

  private var timeoutError: TimeoutError {
    TimeoutError(limit: limit, what: "\(queue.remaining) of \(queue.total) futures")
  }
}
