#if os(Linux) || os(macOS)
/// Which task, and in which life of its record: a number that was used before never means a later task.
struct TaskID: Hashable, Sendable {
  let index: UInt32
  let generation: UInt32

  var bits: UInt64 { UInt64(generation) << 32 | UInt64(index) }
  init(index: UInt32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }
  init(bits: UInt64) {
    self.init(index: UInt32(truncatingIfNeeded: bits), generation: UInt32(truncatingIfNeeded: bits >> 32))
  }
}

/// The scheduler of a process pool: who runs what. A pure state machine; its owner locks, asks, unlocks and acts.
///
/// **The life of a task.** `queued` until a worker has room; `assigned` while its frame is on the way or waits in the worker; `running`
/// once the worker has said that it started. A worker's death puts its assigned tasks back to the front of the queue and
/// costs only the running one, which is tried again if it has retries left.
///
/// **Prefetching.** A worker gets more than one task when its tasks are short: so many as will take it 200 µs. What a
/// worker has not started can be revoked (see ``ClaimTable``), because it was cancelled or because another worker is idle.
///
/// `Work` is what the owner keeps for a task, and `Handle` for a worker; nothing here looks into them.
struct Scheduler<Work: Sendable, Handle: Sendable>: Sendable {
  let maxWorkers: Int
  let maxTasksPerWorker: Int?
  private(set) var phase = Phase.open

  var tasks: [TaskRecord] = []
  var freeTasks: [UInt32] = []
  var queue = TaskQueue()
  var workers: [WorkerRecord?] = []
  /// By the same index.
  var handles: [Handle?] = []
  var slots = SlotTable()
  /// Workers that are being spawned: asked for, without a record yet.
  var spawning = 0
  /// Workers to have although nothing is queued.
  var wanted = 0
  /// A worker may be leaving: looked at only then.
  var mayHaveLeaving = false
  /// Workers that ended before they had begun any task, weighted; since the last time that any worker began one.
  var earlyDeaths = 0
  static var mostEarlyDeaths: Int { 5 }
  static var weightOfEarlyDeath: Int { 20 }

  enum Phase: Sendable {
    case open
    /// Shut down: what is queued still runs.
    case draining
    /// Nothing runs any more; workers are being ended.
    case stopped(any Error)
  }

  struct TaskRecord: Sendable {
    enum State { case free, queued, assigned, running }
    var generation: UInt32 = 0
    var state = State.free
    var worker = 0
    var slot = 0
    var retries = 0
    var work: Work?
  }

  init(maxWorkers: Int, maxTasksPerWorker: Int?) {
    self.maxWorkers = maxWorkers
    self.maxTasksPerWorker = maxTasksPerWorker
  }

  // MARK: submitting

  enum SubmitAction: Sendable {
    case accepted(TaskID)
    case rejected
    case broken(any Error)
  }

  /// - Parameter wasAccepted: it has been submitted before, in a chunk that its worker did not get to the end of. It goes before
  ///   what has come later.
  mutating func submit(_ work: Work, retries: Int, wasAccepted: Bool = false) -> SubmitAction {
    switch phase {
    case .stopped(let error): return .broken(error)
    case .draining where !wasAccepted: return .rejected
    case .open, .draining: break
    }
    let index: UInt32
    if let free = freeTasks.popLast() {
      index = free
    } else {
      index = UInt32(tasks.count)
      tasks.append(TaskRecord())
    }
    tasks[Int(index)].state = .queued
    tasks[Int(index)].retries = retries
    tasks[Int(index)].work = work
    let id = TaskID(index: index, generation: tasks[Int(index)].generation)
    if wasAccepted { queue.prepend([id]) } else { queue.append(id) }
    return .accepted(id)
  }

  /// The record of a task that is still ours.
  func record(_ id: TaskID) -> TaskRecord? {
    guard Int(id.index) < tasks.count else { return nil }
    let record = tasks[Int(id.index)]
    return record.generation == id.generation && record.state != .free ? record : nil
  }

  @discardableResult
  mutating func remove(_ id: TaskID) -> Work? {
    let index = Int(id.index)
    let work = tasks[index].work
    if tasks[index].state == .queued { queue.forgetOne() }
    tasks[index].work = nil
    tasks[index].state = .free
    tasks[index].generation &+= 1
    freeTasks.append(id.index)
    return work
  }

  // MARK: dispatching

  struct Assignment: Sendable {
    let task: TaskID
    let work: Work
    let worker: Int
    let handle: Handle
    let slot: Int
  }

  /// The next task to send, and where; nil when nothing can be sent now.
  mutating func nextAssignment() -> Assignment? {
    guard queue.count > 0, let worker = workerWithRoom() else { return nil }
    while let id = queue.popFirst() {
      let index = Int(id.index)
      guard tasks[index].generation == id.generation, tasks[index].state == .queued else { continue }
      queue.forgetOne()
      let slot = slots.take(of: worker, for: id)
      workers[worker]!.assigned()
      tasks[index].state = .assigned
      tasks[index].worker = worker
      tasks[index].slot = slot
      return Assignment(task: id, work: tasks[index].work!, worker: worker, handle: handles[worker]!, slot: slot)
    }
    return nil
  }

  /// The worker that has least to do: an idle one, else one that takes short tasks in advance.
  private func workerWithRoom() -> Int? {
    var best: Int?
    var load = Int.max
    for index in workers.indices where workers[index]?.hasRoom ?? false {
      let inFlight = workers[index]!.inFlight
      if inFlight >= load { continue }
      if let maxTasksPerWorker, workers[index]!.assignedInAll >= maxTasksPerWorker { continue }
      best = index
      load = inFlight
      if load == 0, workers[index]!.isReady { break }
    }
    return best
  }

  var needsSpawn: Bool { missingWorkers > 0 }

  /// How many workers to spawn now. Counts them as being spawned.
  mutating func takeSpawns() -> Int {
    let spawns = missingWorkers
    spawning += spawns
    return spawns
  }

  private var missingWorkers: Int {
    if isStopped || (queue.count == 0 && wanted == 0) { return 0 }
    var living = spawning
    var idle = spawning
    for index in workers.indices where !(workers[index]?.isLeaving ?? true) {
      living += 1
      if workers[index]!.inFlight == 0 { idle += 1 }
    }
    let needed = max(queue.count - idle, wanted - living)
    return max(0, min(needed, maxWorkers - living))
  }

  // MARK: ending

  var isOpen: Bool { if case .open = phase { true } else { false } }
  var isStopped: Bool { if case .stopped = phase { true } else { false } }
  /// How many workers are up, and stay.
  var readyCount: Int { workers.count { $0.map { $0.isReady && !$0.isLeaving } ?? false } }

  enum WantAction: Sendable {
    case accepted
    case rejected
    case broken(any Error)
  }

  /// Has this many workers, whether there is work or not.
  mutating func want(_ count: Int) -> WantAction {
    switch phase {
    case .stopped(let error): return .broken(error)
    case .draining: return .rejected
    case .open:
      wanted = count
      return .accepted
    }
  }

  /// Takes no more work; what is queued still runs.
  mutating func shutDown() {
    if case .open = phase { phase = .draining }
    wanted = 0
  }

  /// Everything that is queued, assigned or running, taken out of the scheduler.
  mutating func stop(_ error: any Error) -> [Work] {
    if case .stopped = phase {} else { phase = .stopped(error) }
    return takeAll()
  }

  /// Every worker is to end, and is killed at `killAt`.
  mutating func stopWorkers(killAt: UInt64) -> [Handle] {
    workers.indices.compactMap { index in
      guard let worker = workers[index] else { return nil }
      workers[index]!.isLeaving = true
      workers[index]!.endsOnRequest = true
      workers[index]!.deadline = nil
      workers[index]!.killAt = min(worker.killAt ?? .max, killAt)
      return handles[index]
    }
  }

  private mutating func takeAll() -> [Work] {
    var all: [Work] = []
    for index in tasks.indices where tasks[index].state != .free {
      let id = TaskID(index: UInt32(index), generation: tasks[index].generation)
      if let work = remove(id) { all.append(work) }
    }
    queue = TaskQueue()
    return all
  }

  /// The queued tasks, in their order.
  var queued: [TaskID] { queue.ids.filter { record($0)?.state == .queued } }

  /// Whether everything that was submitted has ended.
  var isIdle: Bool { tasks.count == freeTasks.count }
  /// Whether no worker is left.
  var isEmpty: Bool { spawning == 0 && workers.allSatisfy { $0 == nil } }

  /// Workers that have nothing to do and will never have, taken to be leaving. Those that have run tasks are killed if they are still there
  /// at `killAt`: one that was taken over may not go by itself.
  mutating func takeRetired(killAt: @autoclosure () -> UInt64? = nil) -> [Handle] {
    var closing = false
    switch phase {
    case .open: break
    case .draining: closing = isIdle
    case .stopped: closing = true
    }
    var retired: [Handle] = []
    guard closing || maxTasksPerWorker != nil || mayHaveLeaving else { return [] }
    for index in workers.indices {
      guard let worker = workers[index], !worker.endsOnRequest, worker.inFlight == 0 else { continue }
      let isUsedUp = maxTasksPerWorker.map { worker.assignedInAll >= $0 } ?? false
      guard closing || isUsedUp || worker.isLeaving else { continue }
      workers[index]!.isLeaving = true
      workers[index]!.endsOnRequest = true
      if worker.isReady, let killAt = killAt() { workers[index]!.killAt = min(worker.killAt ?? .max, killAt) }
      retired.append(handles[index]!)
    }
    return retired
  }
}

/// Tasks in the order in which they run. Entries of tasks that left otherwise stay until they come up; `count` leaves them out.
struct TaskQueue: Sendable {
  private var entries: [TaskID] = []
  private var head = 0
  private(set) var count = 0

  mutating func append(_ id: TaskID) {
    entries.append(id)
    count += 1
  }

  /// Puts tasks before all others, in their order.
  mutating func prepend(_ ids: [TaskID]) {
    if ids.count <= head {
      head -= ids.count
      entries.replaceSubrange(head..<head + ids.count, with: ids)
    } else {
      entries.replaceSubrange(0..<head, with: ids)
      head = 0
    }
    count += ids.count
  }

  /// The first entry; the caller says with `forgetOne` that it was a task's.
  mutating func popFirst() -> TaskID? {
    guard head < entries.count else {
      entries.removeAll(keepingCapacity: true)
      head = 0
      return nil
    }
    let id = entries[head]
    head += 1
    if head > 1024, head * 2 > entries.count {
      entries.removeFirst(head)
      head = 0
    }
    return id
  }

  mutating func forgetOne() { count -= 1 }

  var ids: ArraySlice<TaskID> { entries[head...] }
}
#endif
