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
    /// How many are queued, rounded down to a power of two: written for each submission it would travel between the
    /// submitter's core and the workers' each time.
    var queued: Int {
      let width = bits >> 8
      return width == 0 ? 0 : 1 << Int(truncatingIfNeeded: width &- 1)
    }
    /// Something of high priority is queued.
    var isUrgent: Bool { bits & 1 != 0 }
    /// More are active than should be.
    var isOverstaffed: Bool { bits & 2 != 0 }
    /// Draining or broken: do not wait for work.
    var isEnding: Bool { bits & 4 != 0 }
    /// A worker could be woken or started.
    var wantsWork: Bool { bits & 8 != 0 }
    /// More search than there are processors for: look, and sleep if there is nothing.
    var isCrowded: Bool { bits & 16 != 0 }
  }

  /// Tells this pool's futures from others'.
  let id: PoolID
  let name: String
  let maximum: Int
  let limit: QueueLimit
  let keepAlive: Duration
  let initializer: (@Sendable () throws -> Void)?
  private let lock = AdaptiveLock()
  /// Raised (release) after the list of workers has changed and before the worker that changed it does anything else: who sees the
  /// new number (acquire) gets the new list, under the lock. Who sees an old one at its last look before it sleeps came before the
  /// new worker's first push in the order of their fences (`wakeForDeques`, `pushed`), so that the pusher sees it.
  let peersVersion = Atomic(0)
  /// What becomes of items that have not started, wherever they are found. Relaxed: who reads an old fate has begun its item before the
  /// shutdown; the word carries nothing else, and what is said of the shutdown is read under the lock.
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
  let briefWaits = BriefWaits()
  /// Done when everything is but the tasks that wait for it.
  let drained = Future<Void>()
  /// Done when the last thread has left.
  let over = Future<Void>()
  /// Submitters that wait for space in a bounded queue, first come, first served. Guarded by the lock.
  @exclusivity(unchecked) private var spaceWaiters: [Future<Void>] = []
  /// Places that are kept for submitters who were told of them and have not come yet. Guarded by the lock.
  @exclusivity(unchecked) private var reservedPlaces = 0

  // What changes with each submission is in cache lines of its own, away from what workers read for each item.
  private let padding1 = CacheLinePadding()
  @exclusivity(unchecked) private var state: PoolState
  private let padding2 = CacheLinePadding()
  private let hintBits = Atomic<UInt64>(0)
  private let padding3 = CacheLinePadding()

  init(
    name: String, maximum: Int, limit: QueueLimit, keepAlive: Duration, initializer: (@Sendable () throws -> Void)?,
    startsThreads: @escaping @Sendable (String, @escaping @Sendable () -> Void) -> Void = PoolCore.startOnDispatch,
    spareLimit: Int = 64
  ) {
    self.name = name
    self.maximum = maximum
    self.limit = limit
    self.keepAlive = keepAlive
    self.initializer = initializer
    self.startsThreads = startsThreads
    id = PoolID.take()
    state = PoolState(maximum: maximum, spareLimit: spareLimit)
  }

  deinit {
    lock.destroy()
    id.giveBack()
  }

  /// Tells this pool's asynchronous bodies from others'.
  var identity: UInt { UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()) }
  /// Whether a searching worker may spin for a moment.
  var maySpin: Bool { !hints.isCrowded }
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
    var bits = UInt64(truncatingIfNeeded: Int.bitWidth &- state.queue.count.leadingZeroBitCount) << 8
    if state.queue.urgentCount > 0 { bits |= 1 }
    if state.active > state.maximum { bits |= 2 }
    if !state.isRunning { bits |= 4 }
    if state.wantsWork { bits |= 8 }
    if state.searching > CPUCount.available { bits |= 16 }
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

  /// How an item stands towards the limit of the queue.
  enum Admission {
    /// Rejected if the queue is full.
    case ifRoom
    /// A place was kept for it by ``reservePlace()``.
    case reserved
    /// Not limited: it was accepted before and only comes back.
    case always
  }

  /// What a critical section has freed, for when the lock is given back.
  private struct Freed {
    var spent: [QueueEntry] = []
    var granted: [Future<Void>] = []
  }

  /// Queues an item, or tells it why not. Never blocks.
  func submit(_ item: _PoolItem, priority: TaskPriority, _ admission: Admission = .ifRoom) {
    submit(item, Lane(priority), admission)
  }

  /// - Parameter isNew: no other thread knows the item yet.
  /// - Parameter isAwaited: the caller looks for the item's end, and wakes workers itself if none has come for it.
  func submit(
    _ item: _PoolItem, _ lane: Lane, _ admission: Admission = .ifRoom, isNew: Bool = false, isAwaited: Bool = false
  ) {
    item.home = id
    let worker = Worker.current(of: self)
    if lane == .medium, let worker {
      if admission == .reserved { returnPlace() }
      worker._withUnsafeGuaranteedRef { pushLocally(item, $0, isNew) }
      return
    }
    let entry = isNew ? QueueEntry(owningNew: item) : QueueEntry(owning: item)
    var freed = Freed()
    let action = withState { state -> PoolState.SubmitAction in
      if admission == .reserved {
        reservedPlaces -= 1
      } else if limit.isBounded, admission == .ifRoom, worker == nil, state.isRunning, !hasRoom(&state, &freed) {
        return .rejected(limit.error(name: name))
      } else if state.queue.wouldGrow(lane) {
        dropSpent(&state, &freed)
      }
      return state.submit(entry, lane, name: name, isAwaited: isAwaited)
    }
    settle(freed)
    switch action {
    case .accepted(let wake): self.wake(wake)
    case .rejected(let error):
      item.rejected(because: error)
      release([entry])
    }
  }

  /// Wakes a worker if something is queued that nobody is on the way to.
  func wakeForQueue() { wake(withState { $0.wakeForQueue() }) }

  /// Work that a worker makes goes into its own deque: no lock, and the newest is at hand when the worker waits for it. A
  /// limit of the queue does not apply: a worker that waited for space could wait for itself.
  private func pushLocally(_ item: _PoolItem, _ worker: Worker, _ isNew: Bool) {
    if hints.isEnding, let error = withState({ $0.rejection(name: name) }) {
      item.rejected(because: error)
      return
    }
    worker.deque.push(isNew ? QueueEntry(owningNew: item) : QueueEntry(owning: item))
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

  // MARK: the limit of the queue
  //
  // A place that becomes free is given to the first who waits, and kept for it until it submits: who comes later does not
  // overtake. While somebody waits, every place is taken or kept.

  /// Keeps a place in a bounded queue for the caller, who submits as `reserved`. If there is none, the caller comes to have
  /// it when the returned future is done. When the pool has ended there is nothing to wait for: submitting tells why.
  func reservePlace() -> Future<Void>? {
    var freed = Freed()
    let signal = withState { state -> Future<Void>? in
      guard state.isRunning else { return nil }
      if hasRoom(&state, &freed) {
        reservedPlaces += 1
        return nil
      }
      let signal = Future<Void>()
      spaceWaiters.append(signal)
      return signal
    }
    settle(freed)
    return signal
  }

  /// A kept place is not needed after all.
  func returnPlace() {
    var freed = Freed()
    withState { state in
      reservedPlaces -= 1
      grantPlaces(&state, &freed)
    }
    settle(freed)
  }

  /// Who waited for a place does not want it any more, and may have got it meanwhile.
  func leaveLine(_ signal: Future<Void>) {
    let waited = withState { _ in
      guard let position = spaceWaiters.firstIndex(of: signal) else { return false }
      spaceWaiters.remove(at: position)
      return true
    }
    if !waited { returnPlace() }
  }

  /// Who waits for a place, and how many places are kept.
  var placeCounts: (waiting: Int, kept: Int) { withState { _ in (spaceWaiters.count, reservedPlaces) } }

  func takeAllSpaceWaiters() -> [Future<Void>] {
    defer { spaceWaiters = [] }
    return spaceWaiters
  }

  /// Whether the queue has room; if not at once, then by forgetting what was cancelled.
  private func hasRoom(_ state: inout PoolState, _ freed: inout Freed) -> Bool {
    if !isFull(state) { return true }
    dropSpent(&state, &freed)
    return !isFull(state)
  }

  private func isFull(_ state: borrowing PoolState) -> Bool {
    limit.isReached(queued: state.queue.count + reservedPlaces)
  }

  private func dropSpent(_ state: inout PoolState, _ freed: inout Freed) {
    freed.spent += state.queue.remove { $0.item?.isSpent ?? false }
    grantPlaces(&state, &freed)
  }

  private func grantPlaces(_ state: inout PoolState, _ freed: inout Freed) {
    var granted = 0
    while granted < spaceWaiters.count, !isFull(state) {
      reservedPlaces += 1
      granted += 1
    }
    if granted > 0 {
      freed.granted += spaceWaiters.prefix(granted)
      spaceWaiters.removeFirst(granted)
    }
  }

  private func settle(_ freed: Freed) {
    release(freed.spent)
    for waiter in freed.granted { waiter.complete(with: .success(())) }
  }

  // MARK: TaskExecutor

  func enqueue(_ job: consuming ExecutorJob) {
    let priority = TaskPriority(job.priority) ?? .medium
    submitJob(UnownedJob(job), priority: priority)
  }

  // MARK: what workers do

  /// Takes the next entry from the queue, and up to `limit` in all, the others into the worker's own deque.
  func take(for worker: Worker, limit: Int) -> QueueEntry? {
    var freed = Freed()
    var wake = PoolState.Wake.nobody
    let entry = withState { state -> QueueEntry? in
      guard let entry = state.queue.popFirst(mediumIsLate: worker.holdsBatch) else { return nil }
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
      if self.limit.isBounded { grantPlaces(&state, &freed) }
      return entry
    }
    self.wake(wake)
    settle(freed)
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
      if !settle(item) { runItem(item, isForeign: true) }
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

  /// Under the lock: the fate goes with the phase.
  func setFate(_ new: Fate) { fate.store(new, ordering: .relaxed) }
  var settlesPending: Bool { fate.load(ordering: .relaxed) != .run }

  /// Runs an item as the current work of this thread.
  @inline(__always)
  func runItem(_ item: _PoolItem, isForeign: Bool) {
    let thread = cf_thread()
    thread.pointee.body_is_foreign = isForeign
    let outer = thread.pointee.current_task
    thread.pointee.current_task = Unmanaged.passUnretained(item).toOpaque()
    item.callWork()
    thread.pointee.current_task = outer
  }

  private func release(_ entries: [QueueEntry]) {
    for entry in entries {
      if case .item(let item) = entry.content { item.release() }
    }
  }
}
