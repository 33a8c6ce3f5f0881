import CPlatformSupport
import Dispatch
import Synchronization

/// One thread of a pool: a loop that runs as one work item of a serial Dispatch queue of its own.
///
/// Serial queues bring a thread each ("overcommit"), up to 255 in the process; a concurrent queue would add one a second
/// while its threads block. Where Dispatch has no thread to give, a plain thread takes the loop over (``PoolCore/start(_:)``).
final class Worker: BlockingHost, @unchecked Sendable {
  typealias Index = Int

  let core: PoolCore
  let index: Index
  let deque = StealingDeque()
  /// Guarded by the pool's lock.
  var isIdle = false
  /// Guarded by the pool's lock: waits for a future and could be called to work instead.
  var isCallable = false
  /// Guarded by the pool's lock: how many calls of `shutdown` wait on this worker's stack.
  var leaves = 0
  /// Taken by the thread that runs the loop: the one of Dispatch, or the one that came to its rescue. Relaxed: of two exchanges of one
  /// word one wins, and starting a thread has ordered all that came before.
  private let isTaken = Atomic(false)
  private let parkWord: UnsafeMutablePointer<UInt32>
  /// Why a worker that waits for a future was woken: bits of `Reason`.
  private let waitWord: UnsafeMutablePointer<UInt32>

  // Used by the worker's own thread only.
  private static let largestBatch = 1024
  private var ticks: UInt = 0
  private var batchLimit = 1
  /// Where in the deque the last batch from the pool's queue ends.
  private var batchEnd = 0
  private var sinceRefill = 0
  private var lastRefill: UInt64 = 0
  private var random: UInt32
  private var letsAccumulate = false
  private var findsSinceTrial = 0
  private var trialInterval = 16
  private var peers: [Worker] = []
  private var peersSeen = -1
  /// Below this address no work is begun inside a wait.
  private var stackReserve: UInt = 0

  init(_ core: PoolCore, index: Index) {
    self.core = core
    self.index = index
    random = UInt32(truncatingIfNeeded: index &* 2_654_435_761) | 1
    parkWord = .allocate(capacity: 1)
    parkWord.initialize(to: 0)
    waitWord = .allocate(capacity: 1)
    waitWord.initialize(to: 0)
    super.init()
    threadPool = Unmanaged.passUnretained(core).toOpaque()
  }

  deinit {
    parkWord.deallocate()
    waitWord.deallocate()
  }

  /// Whether the caller is the one who runs the loop.
  func take() -> Bool { isTaken.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged }
  var wasTaken: Bool { isTaken.load(ordering: .relaxed) }

  // MARK: the loop

  func run() {
    let thread = cf_thread()
    var (lowest, size): (UInt, UInt) = (0, 0)
    cf_stack_bounds(&lowest, &size)
    stackReserve = lowest + size / 4
    let outer = thread.pointee.worker
    thread.pointee.worker = Unmanaged.passUnretained(self as BlockingHost).toOpaque()
    var oldName = [CChar](repeating: 0, count: 64)
    cf_get_thread_name(&oldName, Int32(oldName.count))
    setThreadName(core.threadName(index))
    core.workerStarts(self)
    if core.runInitializer() {
      lastRefill = cf_now()
      // The state machine has counted the new thread as searching.
      var next = search()
      while let entry = next {
        core.run(entry)
        next = nextEntry()
      }
    } else {
      core.workerFailedToStart(self)
    }
    peers = []
    // The thread goes back to Dispatch.
    cf_set_thread_name(&oldName)
    thread.pointee.worker = outer
    core.workerEnded()
  }

  /// What to do next; nil when the thread should go.
  private func nextEntry() -> QueueEntry? {
    ticks &+= 1
    let hints = core.hints
    if hints.isOverstaffed { return giveUpPlace() }
    // Now and then the pool's queue goes first: work that makes new work for its own worker must not starve the others'.
    // Not before what was taken out of that queue earlier.
    if hints.isUrgent || (ticks % 61 == 0 && !holdsBatch), hints.queued > 0,
      let entry = core.take(for: self, limit: 1)
    {
      return entry
    }
    // In the order of submission: the oldest of our own, not the newest.
    if let entry = deque.steal() { return entry }
    if hints.queued > 0, let entry = takeBatch(nextBatch(hints.queued)) { return entry }
    core.withState { $0.search() }
    return search()
  }

  /// More work than should, since one that was blocked has gone on: this one stops, and its deque is the others'. No fork is
  /// in there, for nothing is on the stack that could wait for it.
  private func giveUpPlace() -> QueueEntry? {
    if !deque.isEmpty { core.wake(core.withState { $0.handBack(deque) }) }
    core.withState { $0.search() }
    return search()
  }

  /// Whether the deque holds entries that came from the pool's queue.
  var holdsBatch: Bool { deque.holds(before: batchEnd) }

  /// How many entries to take from the queue at once.
  ///
  /// One, as long as tasks take their time: order and balance are best then. Where they are tiny the queue's lock would cost
  /// more than the tasks, and a few at a time go into the worker's own deque, from which the others may still take them.
  private func nextBatch(_ queued: Int) -> Int {
    let now = cf_now()
    let each = (now &- lastRefill) / UInt64(max(1, ticks &- UInt(sinceRefill)))
    sinceRefill = Int(ticks)
    lastRefill = now
    if each < 1_000 {
      batchLimit = min(batchLimit * 2, Self.largestBatch)
      if letsAccumulate, queued < Self.largestBatch / 4 {
        letsAccumulate = accumulate(upTo: Self.largestBatch / 2, from: queued, pauses: 16)
        lastRefill = cf_now()
      }
    } else {
      batchLimit = max(1, each > 10_000 ? 1 : batchLimit / 2)
    }
    return batchLimit
  }

  /// Looks for work everywhere, for a short time; then sleeps until woken.
  private func search() -> QueueEntry? {
    while true {
      if let entry = core.maySpin ? spinForWork() : look() { return found(entry) }
      switch core.park(self) {
      case .goOn: continue
      case .leave: return nil
      case .park:
        if !sleep() { return nil }
      }
    }
  }

  private func spinForWork() -> QueueEntry? {
    var found: QueueEntry?
    _ = Spinning.until {
      found = look()
      // A pool that ends is looked through once: what is left then is done or on its owner's way.
      return found != nil || core.hints.isOverstaffed || core.hints.isEnding
    }
    return found
  }

  private func look() -> QueueEntry? {
    let hints = core.hints
    if hints.isOverstaffed { return nil }
    if hints.queued > 0, let entry = takeFound(hints.queued) { return entry }
    return stealFromOthers()
  }

  /// Takes what a search has found in the queue.
  ///
  /// A worker that is faster than the submitter would take each task by itself, and fight for the lock with the one who
  /// brings the next. So where tasks come in quick succession it tries once whether more come in if it lets some time pass,
  /// well below a microsecond. As long as that is so it goes on that way, and lets some hundred come in, for at most some
  /// ten microseconds. Where a submitter waits for each task before it brings the next, nothing more comes in, and the trials
  /// become rare.
  private func takeFound(_ queued: Int) -> QueueEntry? {
    findsSinceTrial &+= 1
    if letsAccumulate {
      letsAccumulate = accumulate(upTo: Self.largestBatch / 2, from: queued, pauses: 16)
    } else if findsSinceTrial >= trialInterval {
      letsAccumulate = accumulate(upTo: 32, from: queued, pauses: 1)
      findsSinceTrial = 0
      trialInterval = letsAccumulate ? 16 : min(trialInterval * 2, 1024)
    }
    return takeBatch(letsAccumulate ? Self.largestBatch : 1)
  }

  /// Lets tasks come in as long as they do. False if none came: the count, a power of two, has not risen.
  ///
  /// - Parameter pauses: between two looks; a look takes the count's cache line from who submits.
  private func accumulate(upTo enough: Int, from queued: Int, pauses: Int) -> Bool {
    var count = queued
    var looks = 0
    while looks < 30, count < enough {
      for _ in 0..<pauses { cf_pause() }
      looks += 1
      count = core.hints.queued
    }
    return count > queued
  }

  /// Takes up to `limit` entries from the pool's queue, all but the first into the deque.
  private func takeBatch(_ limit: Int) -> QueueEntry? {
    let entry = core.take(for: self, limit: limit)
    batchEnd = deque.nextPosition
    return entry
  }

  private func found(_ entry: QueueEntry) -> QueueEntry {
    core.wake(core.withState { $0.found() })
    wakeForDeques()
    lastRefill = cf_now()
    sinceRefill = Int(ticks)
    return entry
  }

  @inline(__always)
  func stealFromOthers(where isWanted: (QueueEntry) -> Bool = { _ in true }) -> QueueEntry? {
    refreshPeers()
    if peers.count < 2 { return nil }
    random = random &* 1_664_525 &+ 1_013_904_223
    let start = Int(random >> 8) % peers.count
    for offset in 0..<peers.count {
      let victim = peers[(start &+ offset) % peers.count]
      if victim !== self, let entry = victim.deque.steal(where: isWanted) { return entry }
    }
    return nil
  }

  private var anyPeerHasWork: Bool {
    refreshPeers()
    return peers.contains { !$0.deque.isEmpty }
  }

  /// Wakes a worker for what is in some deque, if one could work and none is on the way.
  ///
  /// A push wakes nobody while a worker searches or all places are taken; whoever stops searching, or gives its place up,
  /// therefore looks again. The fence pairs with the one in `PoolCore.pushed`: either the pusher sees that work is wanted, or
  /// we see what it pushed.
  private func wakeForDeques() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if core.hints.wantsWork && anyPeerHasWork { core.wake(core.withState { $0.wakeForDeque() }) }
  }

  private func refreshPeers() {
    let version = core.peersVersion.load(ordering: .acquiring)
    if version != peersSeen {
      peersSeen = version
      peers = core.withState { Array($0.workers.values) }
    }
  }

  /// Sleeps as an idle worker. False when the thread should go.
  private func sleep() -> Bool {
    // A push to a deque that happened before we were seen as idle would wake nobody: look once more. The fence pairs with
    // the one in `PoolCore.pushed`: one of the two sees the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if anyPeerHasWork && core.withState({ $0.unpark(self) }) { return true }
    let deadline = Deadline(after: core.keepAlive)
    while cf_load_acquire(parkWord) == 0 {
      let remaining = deadline.remaining
      if remaining == 0, core.withState({ $0.keepAliveOver(self) }) { return false }
      cf_wait(parkWord, 0, remaining == 0 ? -1 : remaining)
    }
    cf_store_release(parkWord, 0)
    return true
  }

  /// Wakes the worker. The state machine has made it searching.
  func unpark() {
    cf_store_release(parkWord, 1)
    cf_wake(parkWord, false)
  }

  // MARK: blocking in a task

  /// Waits inside work that runs inside waits, as in recursion by waiting, use up the stack. A thread that has little left
  /// leaves other work to a spare one, whose stack is empty.
  override var isShortOfStack: Bool { cf_stack_pointer() < stackReserve }

  override func runInline(_ future: _FutureCore) {
    // Work of this pool that has not started runs right here. If it is the newest of our own it leaves the deque;
    // elsewhere the entry stays, and whoever comes to it finds that the future has been started.
    guard future.hasWork, future.home == core.id, core.id != .none, future.acquired().phase == FutureWord.pending,
      !isShortOfStack
    else { return }
    let bits = UInt(bitPattern: Unmanaged.passUnretained(future).toOpaque())
    if deque.pop(QueueEntry(bits: bits)) { Unmanaged.passUnretained(future).release() }
    if !core.settle(future) { core.runItem(future, isForeign: false) }
  }

  /// Moves what waits in the deque to the pool's queue, before a wait for the end of all work. Forks stay: they are part of
  /// the work that waits.
  func giveDequeBack() {
    var forks: [QueueEntry] = []
    var others: [QueueEntry] = []
    while let entry = deque.pop() {
      if entry.isFrame { forks.append(entry) } else { others.append(entry) }
    }
    for entry in forks.reversed() { deque.push(entry) }
    for entry in others.reversed() {
      if core.settlesPending { core.run(entry) } else { core.wake(core.withState { $0.takeBack(entry) }) }
    }
  }

  override func willBlock() {
    core.wake(core.withState { $0.block() })
    wakeForDeques()
  }
  /// Sleeps until the future is done. A spare thread takes the place meanwhile; where none can be added the worker is
  /// called, and does itself what is queued, nested in the work that waits: what it waits for may be there.
  override func sleep(untilDone future: _FutureCore) {
    while !future.acquired().isDone {
      core.wake(core.withState { $0.blockCallably(self) })
      wakeForDeques()
      let waiter = CallableWaiter(self)
      let added = future.addObserverCore(waiter, index: 0)
      var isDone = if case .alreadyDone = added { true } else { false }
      if !isDone { awaitReason(Reason.done | Reason.called) }
      let wasCalled = !core.withState { $0.unblockCallable(self) }
      // Both signals that are under way have to arrive before the word is used again.
      if !isDone && !future.removeObserver(waiter, index: 0, added) {
        isDone = true
        awaitReason(Reason.done)
      }
      if wasCalled { awaitReason(Reason.called) }
      cf_store_release(waitWord, 0)
      if wasCalled { answerCall(works: !isDone) }
    }
  }

  /// The worker counts as searching, as one that was woken.
  private func answerCall(works: Bool) {
    var entry: QueueEntry?
    if works {
      if core.hints.queued > 0 { entry = core.take(for: self, limit: 1) }
      entry = entry ?? deque.steal() ?? stealFromOthers()
    }
    core.wake(core.withState { $0.found() })
    wakeForDeques()
    if let entry { core.run(entry) }
  }

  private enum Reason {
    static let done: UInt32 = 1
    static let called: UInt32 = 2
  }

  private func awaitReason(_ reasons: UInt32) {
    while true {
      let word = cf_load_acquire(waitWord)
      if word & reasons != 0 { return }
      cf_wait(waitWord, word, -1)
    }
  }

  private func signal(_ reason: UInt32) {
    while true {
      let word = cf_load_acquire(waitWord)
      if cf_compare_exchange(waitWord, word, word | reason) { break }
    }
    cf_wake(waitWord, false)
  }

  /// Calls the worker from its wait. The state machine has made it searching.
  func call() { signal(Reason.called) }

  private final class CallableWaiter: FutureObserver, @unchecked Sendable {
    private let worker: Worker
    init(_ worker: Worker) { self.worker = worker }
    override var onlyWakes: Bool { true }
    override func futureDone(_ future: FutureCore, index: Int) { worker.signal(Reason.done) }
  }

  override func didUnblock() { core.withState { $0.unblock() } }

  /// The worker that runs on this thread, if it is one of this pool; not retained, for it runs the caller.
  @inline(__always)
  static func current(of core: PoolCore) -> Unmanaged<Worker>? {
    guard let opaque = cf_thread().pointee.worker else { return nil }
    // Not every host is a worker.
    let host = Unmanaged<BlockingHost>.fromOpaque(opaque)
    let isOurs = host._withUnsafeGuaranteedRef { $0.threadPool == Unmanaged.passUnretained(core).toOpaque() }
    return isOurs ? Unmanaged<Worker>.fromOpaque(opaque) : nil
  }
}
