import CPlatformSupport
import Synchronization

/// The queue behind `asCompleted`: futures enter it as they are done and leave it as they are asked for.
///
/// It registers with each future once, so that a completion costs O(1) however many futures there are, and lets go of each
/// when it is handed out. Futures that are not done hold the queue through their registrations, and the queue holds them;
/// ``abandon()`` ends that.
///
/// **Who owns what.** Each future is retained once: first in `waiting`, by the index of its registration; then in `completed`,
/// in the order of completion; then by the consumer. Two locks, so that who completes and who consumes seldom meet:
/// `incoming` belongs to the completing threads, `outgoing` to the consumers. `completed` has room for all from the
/// beginning. A completing thread writes the next place and then releases `arrived`, which tells how many there are; a
/// consumer that has acquired it reads the places before it, which nobody writes again.
final class CompletionQueue: FutureObserver, @unchecked Sendable {
  enum Taken {
    case future(_FutureCore)
    /// All have been handed out.
    case end
    /// None is done, other than those that were handed out: so many.
    case nothing(handedOut: Int)
    /// None is done; come again when the given signal is.
    case wait(Future<Void>)
  }

  private struct Incoming {
    /// Only of those that did not fit into their future's slot.
    var nodes: [Int: Registration] = [:]
    /// Completed when something enters; made when a consumer finds nothing.
    var signal: Future<Void>?
    /// How many will enter yet. Duplicates leave early.
    var expected: Int
  }

  private let incoming: AdaptivelyLocked<Incoming>
  /// How many were handed out.
  private let outgoing = Mutex(0)
  private let arrived = Atomic(0)
  let total: Int
  private let futures: RetainedFutures
  private let completed: UnsafeMutablePointer<Unmanaged<_FutureCore>>

  init(_ futures: consuming RetainedFutures) {
    total = futures.count
    incoming = AdaptivelyLocked(Incoming(expected: total))
    completed = .allocate(capacity: max(1, total))
    self.futures = futures
    super.init(onlyCounts: true)
  }

  deinit {
    let handedOut = outgoing.withLock { $0 }
    for place in handedOut..<arrived.load(ordering: .acquiring) { completed[place].release() }
    completed.deallocate()
  }

  /// Those that are not done, by the index of their registration. Under the lock of `incoming`.
  private var waiting: UnsafeMutablePointer<Unmanaged<_FutureCore>?> { futures.base }

  /// Registers with each future.
  ///
  /// A future that is given twice is found out by the registration in its slot. Once a future is done or has its slot taken
  /// by others that does not tell any more, and all are looked up in a set from there on.
  func start() {
    var seen: Set<ObjectIdentifier>?
    for index in 0..<total {
      // Ours alone until it is registered, and nobody hands it out before all are: if done, it lies in `completed`.
      waiting[index]!._withUnsafeGuaranteedRef { register($0, index, &seen) }
    }
  }

  private func register(_ future: _FutureCore, _ index: Int, _ seen: inout Set<ObjectIdentifier>?) {
    if let isNew = seen?.insert(ObjectIdentifier(future)).inserted, !isNew { return dropDuplicate(index) }
    let added = future.addObserverCore(self, index: index, unlessThere: true)
    switch added {
    case .inSlot: return
    case .thereAlready: return dropDuplicate(index)
    case .inList, .alreadyDone: break
    }
    if seen == nil {
      seen = identifiers(before: index)
      if !seen!.insert(ObjectIdentifier(future)).inserted {
        future.removeObserver(self, index: index, added)
        return dropDuplicate(index)
      }
    }
    switch added {
    case .inSlot, .thereAlready: break
    case .inList(let node): incoming.withLock { if waiting[index] != nil { $0.nodes[index] = node } }
    case .alreadyDone: futureDone(future, index: index)
    }
  }

  /// Of all before this one: some are done by now.
  private func identifiers(before index: Int) -> Set<ObjectIdentifier> {
    incoming.withLock { _ in
      var found = Set<ObjectIdentifier>(minimumCapacity: total)
      func insert(_ future: Unmanaged<_FutureCore>) {
        found.insert(future._withUnsafeGuaranteedRef(ObjectIdentifier.init))
      }
      for earlier in 0..<index { if let future = waiting[earlier] { insert(future) } }
      for place in 0..<arrived.load(ordering: .relaxed) { insert(completed[place]) }
      return found
    }
  }

  private func dropDuplicate(_ index: Int) {
    let (future, signal) = incoming.withLock { incoming in
      incoming.expected -= 1
      return (waiting[index].take(), incoming.signal.take())
    }
    future?.release()
    signal?.complete(with: .success(()))
  }

  override func futureDone(_ future: FutureCore, index: Int) {
    let (signal, node) = incoming.withLock { incoming -> (Future<Void>?, Registration?) in
      guard let future = waiting[index] else { return (nil, nil) }
      waiting[index] = nil
      let place = arrived.load(ordering: .relaxed)
      (completed + place).initialize(to: future)
      arrived.store(place + 1, ordering: .releasing)
      incoming.expected -= 1
      return (incoming.signal.take(), incoming.nodes.isEmpty ? nil : incoming.nodes.removeValue(forKey: index))
    }
    _ = node
    signal?.complete(with: .success(()))
  }

  /// - Parameter mayWait: whether the caller wants a signal when there is nothing.
  func take(mayWait: Bool = true) -> Taken {
    outgoing.withLock { handedOut in
      if let future = takeCompleted(&handedOut) { return .future(future) }
      return incoming.withLock { incoming in
        if let future = takeCompleted(&handedOut) { return .future(future) }
        if incoming.expected == 0 { return .end }
        if !mayWait { return .nothing(handedOut: handedOut) }
        if let signal = incoming.signal { return .wait(signal) }
        let signal = Future<Void>()
        incoming.signal = signal
        return .wait(signal)
      }
    }
  }

  /// For whoever has the lock of `outgoing`.
  private func takeCompleted(_ handedOut: inout Int) -> _FutureCore? {
    if handedOut >= arrived.load(ordering: .acquiring) { return nil }
    handedOut += 1
    return completed[handedOut - 1].takeRetainedValue()
  }

  /// Whether something has come in within a short time. Lets a few come in at once: each would find its cache line with the
  /// other thread.
  func spin(handedOut: Int) -> Bool {
    guard Spinning.until({ arrived.load(ordering: .relaxed) > handedOut }) else { return false }
    for _ in 0..<32 { cf_pause() }
    return true
  }

  /// How many have not been handed out.
  var remaining: Int {
    outgoing.withLock { handedOut in incoming.withLock { $0.expected + arrived.load(ordering: .relaxed) } - handedOut }
  }

  /// Takes all registrations back and forgets the futures.
  func abandon() {
    if incoming.withLock({ $0.expected == 0 }) { return }
    for index in 0..<total {
      let (future, node) = incoming.withLock { incoming in
        (waiting[index].take(), incoming.nodes.isEmpty ? nil : incoming.nodes.removeValue(forKey: index))
      }
      guard let future = future?.takeRetainedValue() else { continue }
      future.removeObserver(self, index: index, node.map(ObserverAdded.inList) ?? .inSlot)
    }
  }
}

/// Whoever iterates holds one of these; when the last is gone, the registrations are taken back.
@usableFromInline
final class CompletionQueueHandle: Sendable {
  private let queue: CompletionQueue
  let deadline: Deadline?
  private let limit: Duration

  @usableFromInline init(_ futures: consuming RetainedFutures, limit: Duration? = nil) {
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
      case .nothing(let handedOut): mayWait = !queue.spin(handedOut: handedOut)
      case .wait(let signal):
        if !signal.waitUntilDone(deadline: deadline) { throw timeoutError }
      }
    }
  }

  /// The same for a Task; nil also when the Task is cancelled.
  @usableFromInline nonisolated(nonsending) func next() async throws(TimeoutError) -> _FutureCore? {
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
