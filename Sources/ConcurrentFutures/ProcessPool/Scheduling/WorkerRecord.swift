#if os(Linux) || os(macOS)
/// What the scheduler knows of a worker. Plain values: it is copied often, and nothing is to be retained then.
struct WorkerRecord: Sendable {
  var isReady = false
  /// It has begun a task, ever.
  var hasStartedAny = false
  /// It is to end: no task goes to it any more.
  var isLeaving = false
  /// Its end was asked for, so it is not a death.
  var endsOnRequest = false
  /// Tasks in flight, revoked ones included until the worker has passed over them.
  var inFlight = 0
  /// The slot of the task that the worker has announced and not answered, whether it is still ours or not.
  var begun: Int?
  var running: TaskID?
  var runningSince: UInt64 = 0
  var deadline: UInt64?
  /// Kill it at this time.
  var killAt: UInt64?
  /// Look at this time whether it has begun to work at all.
  var startDue: UInt64?
  /// Kill it at this time unless it has taken a task of those that it was handed, or said anything else.
  var signDue: UInt64?
  /// Kill it at this time unless the answer has come that its claim word promises.
  var answerDue: UInt64?
  var assignedInAll = 0
  /// How many tasks it may have in flight.
  var window = 1
  /// A moving average of the time that a task takes, in nanoseconds; nil until one has ended.
  private var averageTime: Double?

  /// How long a worker should be busy with what it has, in nanoseconds.
  private static var timeAhead: Double { 200_000 }
  var hasRoom: Bool { !isLeaving && inFlight < (isReady ? window : 1) }

  mutating func assigned() {
    inFlight += 1
    assignedInAll += 1
  }

  mutating func ended(_ id: TaskID, _ time: Double) {
    begun = nil
    if running == id {
      running = nil
      deadline = nil
    }
    answerDue = nil
    inFlight -= 1
    // Longer times count at once, shorter ones after a while: too much in advance is worse than too little.
    let average = averageTime.map { $0 + (time - $0) * (time > $0 ? 0.5 : 0.125) } ?? time
    averageTime = average
    window = min(ClaimTable.count, 1 + Int(Self.timeAhead / max(average, 50)))
  }

  /// It has passed over a task that was revoked.
  mutating func skipped() {
    inFlight -= 1
    assignedInAll -= 1
  }
}

/// What is in a place of a worker's table of claims.
enum SlotState: Equatable, Sendable {
  case free
  case task(TaskID)
  /// Its task was taken back; the worker has not passed over it yet.
  case revoked
}

/// The slots of all workers, one worker's after the other's.
struct SlotTable: Sendable {
  private var states: [SlotState] = []
  /// The free slots of each worker, as a stack of as many as `freeCounts` says.
  private var free: [UInt16] = []
  private var freeCounts: [Int] = []

  private static var size: Int { ClaimTable.count }

  /// All slots of a new worker are free.
  mutating func reset(_ worker: Int) {
    while freeCounts.count <= worker {
      states.append(contentsOf: repeatElement(.free, count: Self.size))
      free.append(contentsOf: repeatElement(0, count: Self.size))
      freeCounts.append(0)
    }
    let base = worker * Self.size
    for slot in 0..<Self.size {
      states[base + slot] = .free
      // The first slot on top.
      free[base + slot] = UInt16(Self.size - 1 - slot)
    }
    freeCounts[worker] = Self.size
  }

  subscript(worker: Int, slot: Int) -> SlotState {
    get { slot >= 0 && slot < Self.size ? states[worker * Self.size + slot] : .free }
    set { states[worker * Self.size + slot] = newValue }
  }

  mutating func take(of worker: Int, for id: TaskID) -> Int {
    freeCounts[worker] -= 1
    let slot = Int(free[worker * Self.size + freeCounts[worker]])
    states[worker * Self.size + slot] = .task(id)
    return slot
  }

  mutating func giveBack(_ slot: Int, of worker: Int) {
    states[worker * Self.size + slot] = .free
    free[worker * Self.size + freeCounts[worker]] = UInt16(slot)
    freeCounts[worker] += 1
  }

  /// The tasks that a worker has, by their slots.
  func tasks(of worker: Int) -> [(slot: Int, task: TaskID)] {
    (0..<Self.size).compactMap { slot in
      if case .task(let id) = states[worker * Self.size + slot] { (slot, id) } else { nil }
    }
  }
}
#endif
