#if os(Linux) || os(macOS)
/// What workers tell, and what is asked of them.
extension Scheduler {
  /// `startDue`: when it must have begun to work, where that is in question.
  mutating func workerSpawned(_ handle: Handle, startDue: UInt64? = nil) -> Int {
    spawning -= 1
    let index = workers.firstIndex { $0 == nil } ?? workers.count
    if index == workers.count {
      workers.append(nil)
      handles.append(nil)
    }
    var record = WorkerRecord()
    record.startDue = startDue
    workers[index] = record
    handles[index] = handle
    slots.reset(index)
    return index
  }

  mutating func spawnFailed() { spawning -= 1 }

  func isInFlight(_ id: TaskID, slot: Int, worker index: Int) -> Bool {
    guard index < workers.count, workers[index] != nil, slots[index, slot] == .task(id) else { return false }
    let place = Int(id.index)
    return place < tasks.count && tasks[place].generation == id.generation && tasks[place].state != .free
      && tasks[place].worker == index && tasks[place].slot == slot
  }

  /// The running task's time is limited from now on.
  mutating func setDeadline(_ deadline: UInt64, of id: TaskID, worker index: Int) {
    if workers[index]?.running == id { workers[index]!.deadline = deadline }
  }

  // MARK: taking back

  /// Where a task's claim word is.
  struct Claim: Sendable {
    let task: TaskID
    let worker: Int
    let slot: Int
    let handle: Handle
  }

  /// A task's future is done without it. Nil: it was queued and is gone, or unknown. Otherwise the owner asks the claim word,
  /// still under the lock, and reports `revoked` or `stop`; a task that has just finished needs nothing more.
  mutating func cancel(_ id: TaskID) -> Claim? {
    guard let record = record(id) else { return nil }
    switch record.state {
    case .free, .queued:
      remove(id)
      return nil
    case .assigned, .running:
      guard let handle = handles[record.worker] else { return nil }
      return Claim(task: id, worker: record.worker, slot: record.slot, handle: handle)
    }
  }

  /// The claim word says that the task will not start.
  mutating func revoked(_ claim: Claim, requeue: Bool) {
    guard isInFlight(claim.task, slot: claim.slot, worker: claim.worker) else { return }
    slots[claim.worker, claim.slot] = .revoked
    if requeue {
      tasks[Int(claim.task.index)].state = .queued
      queue.prepend([claim.task])
    } else {
      remove(claim.task)
    }
  }

  /// The claim word says that the task runs and that its worker will not run another. It is killed at `killAt`.
  /// What it had not started is to be revoked.
  mutating func stop(_ claim: Claim, killAt: UInt64) -> [Claim] {
    guard let worker = workers[claim.worker] else { return [] }
    if isInFlight(claim.task, slot: claim.slot, worker: claim.worker) { remove(claim.task) }
    workers[claim.worker]!.isLeaving = true
    workers[claim.worker]!.endsOnRequest = true
    workers[claim.worker]!.deadline = nil
    workers[claim.worker]!.killAt = min(worker.killAt ?? .max, killAt)
    return unstarted(of: claim.worker)
  }

  /// What a worker has and has not said to have started, the last first.
  func unstarted(of index: Int) -> [Claim] {
    guard let worker = workers[index], let handle = handles[index] else { return [] }
    return slots.tasks(of: index).compactMap { slot, id in
      guard id != worker.running, let record = record(id), record.state == .assigned else { return nil }
      return Claim(task: id, worker: index, slot: slot, handle: handle)
    }
  }

  /// Workers that hold tasks behind one that takes long, while another worker is idle.
  func congested(now: UInt64) -> [Int] {
    guard queue.count == 0, workers.contains(where: { $0.map { $0.hasRoom && $0.inFlight == 0 } ?? false }) else {
      return []
    }
    return workers.indices.filter { index in
      guard let worker = workers[index], worker.running != nil else { return false }
      return worker.inFlight > 1 && now > worker.runningSince &+ 500_000
    }
  }

  /// The claim word says that the task has ended; its answer must follow until `limit`, or the worker is killed: it may not hide
  /// behind that word.
  mutating func answerIsDue(worker index: Int, by limit: UInt64) {
    if workers[index]?.answerDue == nil { workers[index]?.answerDue = limit }
  }

  /// Whether the worker has announced this very task: then a claim word that says otherwise lies.
  func hasBegun(_ claim: Claim) -> Bool { workers[claim.worker]?.begun == claim.slot }

  /// Whether to look again for congestion in a moment: somebody has tasks in advance, and somebody else has none.
  var mayCongest: Bool {
    var isIdle = false
    var hasMany = false
    for index in workers.indices where !(workers[index]?.isLeaving ?? true) {
      if workers[index]!.inFlight == 0 { isIdle = true }
      if workers[index]!.inFlight > 1 { hasMany = true }
    }
    return isIdle && hasMany
  }

  /// The next time at which something is due: a task's deadline or a worker's killing.
  var nextDeadline: UInt64? {
    var next: UInt64?
    for index in workers.indices where workers[index] != nil {
      if let deadline = workers[index]!.deadline { next = min(next ?? .max, deadline) }
      if let killAt = workers[index]!.killAt { next = min(next ?? .max, killAt) }
      if let answerDue = workers[index]!.answerDue { next = min(next ?? .max, answerDue) }
      if let startDue = workers[index]!.startDue { next = min(next ?? .max, startDue) }
      if let signDue = workers[index]!.signDue { next = min(next ?? .max, signDue) }
    }
    return next
  }

  /// What is due at a worker.
  enum Due: Sendable { case kill, answer, start, sign }

  /// From now on, workers that have tasks and have not begun with one have until `limit`. An honest worker takes a task as soon as
  /// it has read it; what another has not begun with is not lost by its end.
  mutating func awaitSigns(until limit: @autoclosure () -> UInt64) {
    for index in workers.indices where workers[index] != nil {
      let owesSign = workers[index]!.isReady && workers[index]!.inFlight > 0 && workers[index]!.begun == nil
      if !owesSign {
        workers[index]!.signDue = nil
      } else if workers[index]!.signDue == nil {
        workers[index]!.signDue = limit()
      }
    }
  }

  /// The workers at which something is due now. To be killed; or because they owe an answer, or a sign that they have started, or that
  /// they take their tasks.
  mutating func takeOverdue(now: UInt64) -> [(worker: Handle, due: Due)] {
    workers.indices.compactMap { index in
      guard let worker = workers[index] else { return nil }
      let due: Due
      if (worker.answerDue ?? .max) <= now {
        due = .answer
      } else if (worker.killAt ?? .max) <= now {
        due = .kill
      } else if (worker.signDue ?? .max) <= now {
        workers[index]!.signDue = nil
        return (handles[index]!, .sign)
      } else if (worker.startDue ?? .max) <= now {
        workers[index]!.startDue = nil
        return (handles[index]!, .start)
      } else {
        return nil
      }
      workers[index]!.killAt = nil
      workers[index]!.answerDue = nil
      return (handles[index]!, due)
    }
  }

  /// Tasks whose time is up.
  func timedOut(now: UInt64) -> [TaskID] {
    workers.compactMap { worker in
      guard let worker, let deadline = worker.deadline, deadline <= now else { return nil }
      return worker.running
    }
  }

  mutating func clearDeadline(worker index: Int) { workers[index]?.deadline = nil }

  /// Whether anything is due, or may be congested.
  func hasTimes(now: UInt64) -> Bool { (nextDeadline.map { $0 <= now } ?? false) || mayCongest }

  // MARK: death

  struct Death: Sendable {
    /// The task that it cost: at most one, the one that it was running.
    var lost: [Work] = []
    /// The task that had begun and is tried again.
    var retried: [Work] = []
    /// The worker ended before it had begun any task, as too many before it.
    var isOneTooMany = false
    var wasAsked = false
  }

  /// A worker is gone. `started` says of a slot whether its task had begun, whatever was heard.
  ///
  /// A worker that has never begun a task counts as an early death, also when it had come up, and when it was idle: nothing says that
  /// the next will do better. Where it was killed from outside that says little about the next, and counts little.
  ///
  /// A worker runs one task at a time, so one at most had begun: the one that it announced, or one whose word says so although
  /// the announcement did not come. More than one such word is a lie, and costs no more than a death does.
  mutating func workerGone(_ index: Int, wasKilled: Bool = false, started: (Int) -> Bool) -> Death {
    guard let worker = workers[index] else { return Death() }
    var hasStartedAny = worker.hasStartedAny
    workers[index] = nil
    handles[index] = nil
    var death = Death(wasAsked: worker.endsOnRequest)
    var back: [TaskID] = []
    let held = slots.tasks(of: index).filter { record($0.task)?.worker == index }
    let begun = worker.begun ?? held.first { started($0.slot) }?.slot
    for (slot, id) in held {
      guard let record = record(id) else { continue }
      if slot != begun {
        tasks[Int(id.index)].state = .queued
        back.append(id)
        continue
      }
      hasStartedAny = true
      if record.retries > 0, let work = record.work {
        tasks[Int(id.index)].retries -= 1
        tasks[Int(id.index)].state = .queued
        death.retried.append(work)
        back.append(id)
      } else if let work = remove(id) {
        death.lost.append(work)
      }
    }
    queue.prepend(back)
    if hasStartedAny {
      earlyDeaths = 0
    } else if !worker.endsOnRequest {
      earlyDeaths += wasKilled ? 1 : Self.weightOfEarlyDeath
      death.isOneTooMany = earlyDeaths >= Self.mostEarlyDeaths * Self.weightOfEarlyDeath
    }
    return death
  }
}
#endif
