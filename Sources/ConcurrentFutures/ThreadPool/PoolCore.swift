import CPlatformSupport
import Dispatch
import Synchronization

/// What a ``ThreadPool`` is behind its handle: lives as long as somebody holds the handle or a worker is there.
///
/// One lock guards the state machine; nothing foreign runs under it. `hints` is a copy of what workers look at before they
/// bother the lock, written at the end of each critical section.
final class PoolCore: TaskExecutor, @unchecked Sendable {
  struct Hints {
    fileprivate var bits: UInt64
    var queued: Int { Int(truncatingIfNeeded: bits >> 8) }
    /// Something of high priority is queued.
    var isUrgent: Bool { bits & 1 != 0 }
    /// More are active than should be.
    var isOverstaffed: Bool { bits & 2 != 0 }
    /// Draining or broken: do not wait for work.
    var isEnding: Bool { bits & 4 != 0 }
    /// A worker could be woken or started.
    var wantsWork: Bool { bits & 8 != 0 }
  }

  let name: String
  let maximum: Int
  let limit: QueueLimit
  let keepAlive: Duration
  let initializer: (@Sendable () throws -> Void)?
  private let lock = AdaptiveLock()
  @exclusivity(unchecked) private var state: PoolState
  private let hintBits = Atomic<UInt64>(0)
  let peersVersion = Atomic(0)
  /// What becomes of items that have not started, wherever they are found.
  private let fate = Atomic(Fate.run)
  enum Fate: UInt8, AtomicRepresentable {
    case run
    /// `shutdown(cancelPending: true)` was called.
    case cancel
    /// The pool is broken.
    case reject
  }
  /// Where a test, or a user who knows better, can stop threads from coming out of Dispatch.
  let startsThreads: @Sendable (_ label: String, _ body: @escaping @Sendable () -> Void) -> Void
  /// Done when everything is but the tasks that wait for it.
  let drained = Future<Void>()
  /// Done when the last thread has left.
  let over = Future<Void>()
  /// Submitters that wait for space in a bounded queue, first come, first served. Guarded by the lock.
  @exclusivity(unchecked) private var spaceWaiters: [Future<Void>] = []

  init(
    name: String, maximum: Int, limit: QueueLimit, keepAlive: Duration, initializer: (@Sendable () throws -> Void)?,
    startsThreads: @escaping @Sendable (String, @escaping @Sendable () -> Void) -> Void = PoolCore.startOnDispatch
  ) {
    self.name = name
    self.maximum = maximum
    self.limit = limit
    self.keepAlive = keepAlive
    self.initializer = initializer
    self.startsThreads = startsThreads
    state = PoolState(maximum: maximum, spareLimit: 64)
  }

  deinit {
    lock.destroy()
    id.giveBack()
  }

  /// Tells this pool's futures from others'.
  let id = PoolID.take()
  /// Tells this pool's asynchronous bodies from others'.
  var identity: UInt { UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()) }
  var hints: Hints { Hints(bits: hintBits.load(ordering: .relaxed)) }
  func threadName(_ index: Int) -> String { "\(name.utf8.count > 11 ? String(name.prefix(11)) : name)-\(index)" }

  /// One event of the state machine.
  @inline(__always)
  func withState<R: ~Copyable, E: Error>(_ event: (inout PoolState) throws(E) -> R) throws(E) -> R {
    lock.lock()
    defer {
      updateHints()
      lock.unlock()
    }
    return try event(&state)
  }

  @inline(__always)
  private func updateHints() {
    var bits = UInt64(truncatingIfNeeded: state.queue.count) << 8
    if state.queue.urgentCount > 0 { bits |= 1 }
    if state.active > state.maximum { bits |= 2 }
    if !state.isRunning { bits |= 4 }
    if state.wantsWork { bits |= 8 }
    if bits != hintBits.load(ordering: .relaxed) { hintBits.store(bits, ordering: .relaxed) }
  }

  func wake(_ wake: PoolState.Wake) {
    switch wake {
    case .nobody: break
    case .wake(let worker): worker.unpark()
    case .start(let index): start(index)
    case .call(let worker): worker.call()
    }
  }

  // MARK: submitting

  /// Queues an item, or tells it why not. Never blocks.
  ///
  /// - Parameters:
  ///   - rejecting: false if an item that finds the queue full shall not hear of it.
  ///   - limited: false for what has been accepted before and only comes back.
  /// - Returns: false in that case.
  @discardableResult
  func submit(_ item: _PoolItem, priority: TaskPriority, rejecting: Bool = true, limited: Bool = true) -> Bool {
    item.home = id
    let lane = Lane(priority)
    if lane == .medium, let worker = Worker.current, worker.core === self {
      pushLocally(item, worker)
      return true
    }
    let entry = QueueEntry(owning: item)
    var spent: [QueueEntry] = []
    var isFull = false
    let action = withState { state -> PoolState.SubmitAction in
      let dropSpent = limit.isReached(queued: state.queue.count) || state.queue.wouldGrow(lane)
      if dropSpent { spent = state.queue.remove { $0.item?.isSpent ?? false } }
      if limited, let error = limit.rejection(queued: state.queue.count, name: name), state.isRunning {
        isFull = true
        return .rejected(error)
      }
      return state.submit(entry, lane, name: name)
    }
    release(spent)
    switch action {
    case .accepted(let wake): self.wake(wake)
    case .rejected(let error):
      if !isFull || rejecting { item.rejected(because: error) }
      release([entry])
    }
    return !isFull || rejecting
  }

  /// Work that a worker makes goes into its own deque: no lock, and the newest is at hand when the worker waits for it. A
  /// limit of the queue does not apply: a worker that waited for space could wait for itself.
  private func pushLocally(_ item: _PoolItem, _ worker: Worker) {
    if hints.isEnding, let error = withState({ $0.rejection(name: name) }) {
      item.rejected(because: error)
      return
    }
    worker.deque.push(QueueEntry(owning: item))
    pushed()
  }

  /// A worker has pushed to its deque: is there somebody to take it? Pairs with the fence in `Worker.sleep`.
  @inline(__always)
  func pushed() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if hints.wantsWork { wake(withState { $0.wakeForDeque() }) }
  }

  /// Queues a job of a Task that runs on this pool, or hands it to the default executor when the pool has ended: a Task
  /// whose job is lost would hang.
  func submitJob(_ job: UnownedJob, priority: TaskPriority) {
    switch withState({ $0.submitJob(QueueEntry(job), Lane(priority)) }) {
    case .accepted(let wake): self.wake(wake)
    case .rejected: globalConcurrentExecutor.enqueue(ExecutorJob(job))
    }
  }

  /// Waits for space in a bounded queue; nil when there is some.
  func spaceSignal() -> Future<Void>? {
    withState { state in
      guard limit.isReached(queued: state.queue.count), state.isRunning else { return nil }
      let signal = Future<Void>()
      spaceWaiters.append(signal)
      return signal
    }
  }

  /// A waiter who was told of space does not want it any more.
  func passOnSpace(_ signal: Future<Void>) {
    let next = withState { _ in
      if let position = spaceWaiters.firstIndex(of: signal) {
        spaceWaiters.remove(at: position)
        return nil as Future<Void>?
      }
      return takeSpaceWaiter()
    }
    next?.complete(with: .success(()))
  }

  func takeAllSpaceWaiters() -> [Future<Void>] {
    defer { spaceWaiters = [] }
    return spaceWaiters
  }

  private func takeSpaceWaiter() -> Future<Void>? { spaceWaiters.isEmpty ? nil : spaceWaiters.removeFirst() }

  // MARK: TaskExecutor

  func enqueue(_ job: consuming ExecutorJob) {
    let priority = TaskPriority(job.priority) ?? .medium
    submitJob(UnownedJob(job), priority: priority)
  }

  // MARK: what workers do

  /// Takes the next entry from the queue, and up to `limit` in all, the others into the worker's own deque.
  func take(for worker: Worker, limit: Int) -> QueueEntry? {
    var space: Future<Void>?
    var wake = PoolState.Wake.nobody
    let entry = withState { state -> QueueEntry? in
      guard let entry = state.queue.popFirst() else { return nil }
      if limit > 1 {
        var more = min(limit - 1, state.queue.count / 2)
        if more > 0 {
          while more > 0, let another = state.queue.popAnotherMedium() {
            worker.deque.push(another)
            more -= 1
          }
          wake = state.wakeForDeque()
        }
      }
      if self.limit.isBounded { space = takeSpaceWaiter() }
      return entry
    }
    self.wake(wake)
    space?.complete(with: .success(()))
    return entry
  }

  func park(_ worker: Worker) -> PoolState.ParkAction {
    let action = withState { $0.park(worker) }
    if case .leave = action { peersVersion.add(1, ordering: .releasing) }
    return action
  }

  func run(_ entry: QueueEntry) {
    switch entry.content {
    case .item(let item):
      let item = item.takeRetainedValue()
      if !settle(item) { runItem(item) }
    case .frame(let frame): JoinFrame.runStolen(frame)
    case .job(let job):
      let thread = cf_thread()
      let outer = thread.pointee.current_task
      thread.pointee.current_task = nil
      job.runSynchronously(on: asUnownedTaskExecutor())
      thread.pointee.current_task = outer
    }
  }

  /// Ends an item that has not started, if that is the fate of all such. True if it is.
  @inline(__always)
  func settle(_ item: _PoolItem) -> Bool {
    let fate = fate.load(ordering: .relaxed)
    if fate == .run { return false }
    settle(item, fate)
    return true
  }

  @inline(never)
  private func settle(_ item: _PoolItem, _ fate: Fate) {
    if fate == .reject, let error = withState({ $0.rejection(name: name) }) {
      item.rejected(because: error)
    } else {
      item.cancelBeforeStart()
    }
  }

  func setFate(_ new: Fate) { fate.store(new, ordering: .relaxed) }
  var settlesPending: Bool { fate.load(ordering: .relaxed) != .run }

  /// Runs an item as the current work of this thread.
  @inline(__always)
  func runItem(_ item: _PoolItem) {
    let thread = cf_thread()
    let outer = thread.pointee.current_task
    thread.pointee.current_task = Unmanaged.passUnretained(item).toOpaque()
    item.work!(item)
    thread.pointee.current_task = outer
  }

  private func release(_ entries: [QueueEntry]) {
    for entry in entries {
      if case .item(let item) = entry.content { item.release() }
    }
  }
}
