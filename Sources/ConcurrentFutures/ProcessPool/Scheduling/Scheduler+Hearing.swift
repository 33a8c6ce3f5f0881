#if os(Linux) || os(macOS)
/// What workers say. A worker may be compromised: what none of ours would say is a violation, for which the owner ends it.
///
/// A worker takes its tasks one after the other: `started`, then the answer, then the next `started`. So it can have begun one of
/// those that it was handed, which bounds what its end costs.
extension Scheduler {
  enum Heard: Sendable {
    /// The worker is up.
    case ready
    /// A task has begun; nil when it is not ours any more.
    case started(TaskID, Work?)
    /// The elements of a chunk are about to run; nil when it is not ours any more.
    case unpacked(Work?)
    /// An element of a chunk has ended, and others follow; nil when the chunk is not ours any more.
    case partly(Work?)
    /// A task has ended; nil when it is not ours any more.
    case ended(Work?)
    /// The initializer has failed.
    case initializerFailed
    /// Nothing to do.
    case noted
  }

  /// A frame's header from a worker. `initializerTask` is the number that answers of the initializer carry, nil where there is none.
  mutating func heard(
    _ header: ChannelHeader, worker index: Int, now: UInt64, initializerTask: UInt64?
  ) throws(ChannelViolation) -> Heard {
    guard index >= 0, index < workers.count, workers[index] != nil else { return .noted }
    let id = TaskID(bits: header.task)
    // Anything else is a sign of work; that it will leave it can say again and again.
    if header.kind != .leaving { workers[index]!.signDue = nil }
    switch header.kind {
    case .hello:
      if workers[index]!.isReady { throw ChannelViolation(what: "it said twice that it is ready") }
      // Which is no progress yet: it may still die before it does anything.
      workers[index]!.isReady = true
      workers[index]!.startDue = nil
      return .ready
    case .leaving:
      workers[index]!.isLeaving = true
      mayHaveLeaving = true
      return .noted
    case .started: return .started(id, try started(id, slot: header.slot, worker: index, now: now))
    case .skipped:
      try skipped(slot: header.slot, worker: index)
      return .noted
    case .returned, .threw, .threwRemote, .refused, .handedBack:
      if header.task == initializerTask, !workers[index]!.isReady { return .initializerFailed }
      if header.answersToCome > 0 { return .partly(try begun(id, slot: header.slot, worker: index)) }
      return .ended(try ended(id, slot: header.slot, worker: index, nanoseconds: header.nanoseconds))
    case .unpacked: return .unpacked(try begun(id, slot: header.slot, worker: index))
    case .configure, .define, .initialize, .run, .forget:
      throw ChannelViolation(what: "it sent a frame that goes the other way")
    }
  }

  private mutating func started(
    _ id: TaskID, slot: Int, worker index: Int, now: UInt64
  ) throws(ChannelViolation) -> Work? {
    guard slots[index, slot] == .task(id) else {
      throw ChannelViolation(what: "it started a task that it does not have")
    }
    guard workers[index]!.begun == nil else { throw ChannelViolation(what: "it started a task while it ran another") }
    workers[index]!.begun = slot
    workers[index]!.hasStartedAny = true
    earlyDeaths = 0
    guard isInFlight(id, slot: slot, worker: index) else { return nil }
    tasks[Int(id.index)].state = .running
    workers[index]!.running = id
    workers[index]!.runningSince = now
    return tasks[Int(id.index)].work
  }

  /// The task that the worker has announced and speaks of; nil when it is not ours any more.
  private func begun(_ id: TaskID, slot: Int, worker index: Int) throws(ChannelViolation) -> Work? {
    guard slots[index, slot] == .task(id), workers[index]!.begun == slot else {
      throw ChannelViolation(what: "it answered a task that it had not started")
    }
    return isInFlight(id, slot: slot, worker: index) ? tasks[Int(id.index)].work : nil
  }

  private mutating func ended(
    _ id: TaskID, slot: Int, worker index: Int, nanoseconds: UInt32
  ) throws(ChannelViolation) -> Work? {
    let work = try begun(id, slot: slot, worker: index)
    workers[index]!.ended(id, Double(nanoseconds))
    slots.giveBack(slot, of: index)
    if work != nil { remove(id) }
    return work
  }

  private mutating func skipped(slot: Int, worker index: Int) throws(ChannelViolation) {
    guard slots[index, slot] == .revoked else {
      throw ChannelViolation(what: "it passed over a task that it should run")
    }
    slots.giveBack(slot, of: index)
    workers[index]!.skipped()
  }
}
#endif
