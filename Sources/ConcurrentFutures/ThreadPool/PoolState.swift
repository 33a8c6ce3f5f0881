/// The pure state machine of a thread pool: who is there, who works, and who has to be woken for what.
///
/// A worker is in one of these states:
///
/// ```
/// (none) ──start──▶ searching ──found──▶ working ──nothing left──▶ searching
///                      │  ▲                 │ ▲
///                nothing  │             blocks│ │goes on
///                   found  woken              ▼ │
///                      ▼  │               blocked in wait()
///                     idle ──keep-alive over, or shutdown──▶ gone
/// ```
/// `active` are the searching and the working: at most `maximum`, except after a blocked worker has gone on, until one of
/// them has ended its task.
/// A submission wakes or starts one worker, and none as long as enough are searching.
struct PoolState: ~Copyable {
  enum Phase {
    case running
    /// Takes no more work; what is queued is done.
    case draining
    /// An initializer failed or no thread could be had.
    case broken(BrokenExecutorError)
  }

  /// What a caller has to do after it has given the lock back.
  enum Wake {
    case nobody
    case wake(Worker)
    case start(Worker.Index)
    /// No thread can be added: a worker that waits for a future is to work meanwhile.
    case call(Worker)
  }

  let maximum: Int
  /// Threads beyond `maximum` that may take the places of blocked ones.
  let spareLimit: Int
  var queue = WorkQueue()
  private(set) var phase = Phase.running
  /// The last to become idle is the first to be woken: its caches are warm, and the others reach their keep-alive.
  private(set) var idle: [Worker] = []
  /// Workers that wait for a future and can be called back to work. The last to block is the first to be called.
  private(set) var callable: [Worker] = []
  private(set) var workers: [Worker.Index: Worker] = [:]
  private var nextIndex = 0
  /// Threads that are there or were asked for.
  private(set) var live = 0
  private(set) var active = 0
  private(set) var searching = 0
  /// Workers that wait for the end of the pool themselves, in a `shutdown` that one of its tasks called.
  private var leaving = 0
  /// Asynchronous bodies that have not ended.
  private var asyncBodies = 0
  private var leavingAsyncBodies = 0

  init(maximum: Int, spareLimit: Int) {
    self.maximum = maximum
    self.spareLimit = spareLimit
  }

  var isBroken: Bool { if case .broken = phase { true } else { false } }
  var isRunning: Bool { if case .running = phase { true } else { false } }
  /// Whether a worker could be put to work that is not, so that a push to a worker's own deque should tell.
  var wantsWork: Bool {
    searching == 0 && active < maximum && (!idle.isEmpty || live < maximum + spareLimit || !callable.isEmpty)
  }
  var runningCount: Int { active - searching }

  // MARK: submitting

  enum SubmitAction {
    case accepted(Wake)
    case rejected(any Error)
  }

  /// Why the pool takes nothing more; nil while it does.
  func rejection(name: String) -> (any Error)? {
    switch phase {
    case .running: nil
    case .draining: ExecutorShutDownError(name: name)
    case .broken(let error): error
    }
  }

  /// - Parameter isAwaited: the caller has time to see whether a worker that is up comes for it, and asks again.
  mutating func submit(_ entry: QueueEntry, _ lane: Lane, name: String, isAwaited: Bool = false) -> SubmitAction {
    if let error = rejection(name: name) { return .rejected(error) }
    queue.append(entry, lane)
    return .accepted(isAwaited && active > 0 ? .nobody : wakeForQueue())
  }

  /// A job of a Task that prefers this pool; it was accepted with its Task and has to run, also while the pool drains.
  mutating func submitJob(_ entry: QueueEntry, _ lane: Lane) -> SubmitAction {
    switch phase {
    case .running: break
    case .draining where !isOver: break
    case .draining, .broken: return .rejected(CancellationError())
    }
    queue.append(entry, lane)
    return .accepted(wakeForQueue())
  }

  /// One more worker, if there is work that nobody is on the way to.
  mutating func wakeForQueue() -> Wake { queue.count > searching ? wakeOne() : .nobody }

  /// One more worker, for entries in some worker's own deque.
  mutating func wakeForDeque() -> Wake { searching == 0 ? wakeOne() : .nobody }

  private mutating func wakeOne() -> Wake {
    guard active < maximum else { return .nobody }
    if let worker = idle.popLast() {
      worker.isIdle = false
      active += 1
      searching += 1
      return .wake(worker)
    }
    guard live < maximum + spareLimit else { return call() }
    live += 1
    active += 1
    searching += 1
    nextIndex += 1
    return .start(nextIndex)
  }

  // MARK: workers

  mutating func workerStarted(_ worker: Worker) { workers[worker.index] = worker }

  /// A searching worker has found work; maybe it was not the only one.
  mutating func found() -> Wake {
    searching -= 1
    return wakeForQueue()
  }

  /// A working worker has nothing to do.
  mutating func search() { searching += 1 }

  enum ParkAction {
    case park
    /// There is something to do after all.
    case goOn
    case leave
  }

  /// A searching worker has found nothing.
  mutating func park(_ worker: Worker) -> ParkAction {
    if queue.count > 0 && active <= maximum { return .goOn }
    searching -= 1
    active -= 1
    switch phase {
    case .running:
      worker.isIdle = true
      idle.append(worker)
      return .park
    case .draining, .broken:
      leave(worker)
      return .leave
    }
  }

  /// An idle worker, registered as such, has looked at the others' deques and seen something. False if it was woken
  /// meanwhile, or if all places are taken: it would come back at once, and look again. Who gives a place up looks, too.
  mutating func unpark(_ worker: Worker) -> Bool {
    guard active < maximum, removeIdle(worker) else { return false }
    active += 1
    searching += 1
    return true
  }

  /// An idle worker has slept for its keep-alive. False if it was woken meanwhile.
  mutating func keepAliveOver(_ worker: Worker) -> Bool {
    guard removeIdle(worker) else { return false }
    leave(worker)
    return true
  }

  private mutating func removeIdle(_ worker: Worker) -> Bool {
    guard worker.isIdle, let position = idle.lastIndex(where: { $0 === worker }) else { return false }
    idle.remove(at: position)
    worker.isIdle = false
    return true
  }

  private mutating func leave(_ worker: Worker) {
    workers[worker.index] = nil
    live -= 1
  }

  /// A worker that was asked for does not come. The others go on; with none, nothing would ever run what is queued.
  mutating func startFailed(_ error: BrokenExecutorError) -> (entries: [QueueEntry], wake: Wake) {
    live -= 1
    active -= 1
    searching -= 1
    if live == 0 { return (breakDown(error).entries, .nobody) }
    // All others may be waiting for what this one was to do.
    return ([], active < maximum ? call() : .nobody)
  }

  /// Calls the last worker that has gone to wait for a future.
  private mutating func call() -> Wake {
    guard let worker = callable.popLast() else { return .nobody }
    worker.isCallable = false
    active += 1
    searching += 1
    return .call(worker)
  }

  // MARK: blocking

  /// A working worker is going to block. Who takes its place?
  mutating func block() -> Wake {
    active -= 1
    return wakeForQueue()
  }

  mutating func unblock() { active += 1 }

  /// A working worker is going to block in a way in which it can be called back to work; maybe it is that at once.
  mutating func blockCallably(_ worker: Worker) -> Wake {
    worker.isCallable = true
    callable.append(worker)
    return block()
  }

  /// It has woken. False if it was called, and so counts as searching already.
  mutating func unblockCallable(_ worker: Worker) -> Bool {
    guard worker.isCallable, let position = callable.lastIndex(where: { $0 === worker }) else { return false }
    callable.remove(at: position)
    worker.isCallable = false
    unblock()
    return true
  }

  // MARK: the end

  mutating func beginDraining() -> [Worker] {
    guard case .running = phase else { return [] }
    phase = .draining
    return takeIdle()
  }

  mutating func breakDown(_ error: BrokenExecutorError) -> (entries: [QueueEntry], idle: [Worker]) {
    if case .broken = phase { return ([], []) }
    phase = .broken(error)
    return (queue.remove { _ in true }, takeIdle())
  }

  private mutating func takeIdle() -> [Worker] {
    let workers = idle
    idle = []
    for worker in workers {
      worker.isIdle = false
      active += 1
      searching += 1
    }
    return workers
  }

  mutating func asyncBodyBegins() { asyncBodies += 1 }

  mutating func asyncBodyEnds(_ body: PoolBody) {
    asyncBodies -= 1
    if body.leaves > 0 { leavingAsyncBodies -= 1 }
    body.hasEnded = true
  }

  // Each worker and each body counts once, however many calls of `shutdown` are nested in it or run side by side.

  mutating func leaves(_ worker: Worker) {
    worker.leaves += 1
    if worker.leaves == 1 { leaving += 1 }
  }

  mutating func goesOn(_ worker: Worker) {
    worker.leaves -= 1
    if worker.leaves == 0 { leaving -= 1 }
  }

  mutating func leaves(_ body: PoolBody) {
    body.leaves += 1
    if body.leaves == 1 && !body.hasEnded { leavingAsyncBodies += 1 }
  }

  mutating func goesOn(_ body: PoolBody) {
    body.leaves -= 1
    if body.leaves == 0 && !body.hasEnded { leavingAsyncBodies -= 1 }
  }

  /// Work that was accepted before, and only changes its place.
  mutating func takeBack(_ entry: QueueEntry) -> Wake {
    queue.append(entry, .medium)
    return wakeForQueue()
  }

  /// A worker without a place gives its own deque to those who have one, before what is queued.
  mutating func handBack(_ deque: StealingDeque) -> Wake {
    while let entry = deque.pop() { queue.prependMedium(entry) }
    return wakeForQueue()
  }

  /// Everything is done but the tasks that wait for just that.
  var isDrained: Bool {
    !isRunning && queue.count == 0 && live == leaving && asyncBodies == leavingAsyncBodies
  }
  /// Everything is done and every thread is gone.
  var isOver: Bool { !isRunning && queue.count == 0 && live == 0 && asyncBodies == 0 }
}
