import Testing

@testable import ConcurrentFutures

/// A worker that lies: the scheduler finds out, or it does no harm; and no task is lost on the way.
@Suite struct ProcessSchedulerHostileTests {
  typealias Machine = Scheduler<Int, String>

  /// A machine with one ready worker, which has so many tasks that are short.
  private func machine(tasks count: Int) throws -> (Machine, [Machine.Assignment]) {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    machine.spawning = 1
    let worker = machine.workerSpawned("w")
    machine.workerReady(worker)
    _ = machine.submit(-1, retries: 0)
    let assigned = machine.nextAssignment()
    let first = try #require(assigned)
    try machine.hears(.started, first.task, slot: first.slot, worker: worker)
    try machine.hears(.returned, first.task, slot: first.slot, worker: worker, nanoseconds: 100)
    for number in 0..<count { _ = machine.submit(number, retries: 0) }
    var assignments: [Machine.Assignment] = []
    while let next = machine.nextAssignment() { assignments.append(next) }
    #expect(assignments.count == count)
    return (machine, assignments)
  }

  @Test func everyLieIsAViolation() throws {
    var (machine, tasks) = try machine(tasks: 3)
    let (a, b) = (tasks[0], tasks[1])
    let free = tasks.map(\.slot).max()! + 1
    func isViolation(_ kind: ChannelHeader.Kind, _ id: TaskID, slot: Int, _ machine: Machine) -> Bool {
      var copy = machine
      do { try copy.hears(kind, id, slot: slot, worker: 0) } catch { return error is ChannelViolation }
      return false
    }
    let answers: [ChannelHeader.Kind] = [.returned, .threw, .threwRemote, .refused]
    #expect(isViolation(.hello, a.task, slot: 0, machine), "twice ready")
    for kind in [.run, .define, .configure, .initialize, .forget] as [ChannelHeader.Kind] {
      #expect(isViolation(kind, a.task, slot: a.slot, machine), "the other way")
    }
    for kind in answers { #expect(isViolation(kind, a.task, slot: a.slot, machine), "not started") }
    #expect(isViolation(.skipped, a.task, slot: a.slot, machine), "not revoked")
    #expect(isViolation(.unpacked, a.task, slot: a.slot, machine), "not started")
    for kind in answers + [.started, .skipped, .unpacked] {
      #expect(isViolation(kind, a.task, slot: b.slot, machine), "another task's slot")
      #expect(isViolation(kind, a.task, slot: free, machine))
      #expect(isViolation(kind, a.task, slot: 65535, machine))
    }
    let old = TaskID(index: a.task.index, generation: a.task.generation &+ 1)
    #expect(isViolation(.started, old, slot: a.slot, machine), "another life of the task")
    try machine.hears(.started, a.task, slot: a.slot, worker: 0)
    #expect(isViolation(.started, a.task, slot: a.slot, machine), "started twice")
    #expect(isViolation(.started, b.task, slot: b.slot, machine), "two at a time")
    for kind in answers { #expect(isViolation(kind, b.task, slot: b.slot, machine), "the other one") }
    try machine.hears(.returned, a.task, slot: a.slot, worker: 0)
    #expect(isViolation(.returned, a.task, slot: a.slot, machine), "answered twice")
    #expect(isViolation(.unpacked, a.task, slot: a.slot, machine), "ended")
  }

  @Test func whoDoesNotTakeItsTasksIsDueSomeTime() throws {
    var (machine, tasks) = try machine(tasks: 2)
    machine.awaitSigns(until: 100)
    machine.awaitSigns(until: 200)
    #expect(machine.nextDeadline == 100)
    var copy = machine
    let due = copy.takeOverdue(now: 100)
    #expect(due.count == 1 && due.first?.due == .sign)
    // Whatever it says is a sign, and while it runs a task it owes none.
    try machine.hears(.started, tasks[0].task, slot: tasks[0].slot, worker: 0)
    #expect(machine.nextDeadline == nil)
    machine.awaitSigns(until: 300)
    #expect(machine.nextDeadline == nil)
    try machine.hears(.returned, tasks[0].task, slot: tasks[0].slot, worker: 0)
    machine.awaitSigns(until: 400)
    #expect(machine.nextDeadline == 400)
  }

  /// An answer after which others follow leaves its task where it is.
  @Test func aPartOfAnAnswerEndsNothing() throws {
    var (machine, tasks) = try machine(tasks: 2)
    let (a, b) = (tasks[0], tasks[1])
    func part(_ id: TaskID, slot: Int) throws -> Int? {
      let header = ChannelHeader(.returned, slot: slot, task: id.bits, function: 1)
      guard case .partly(let work) = try machine.heard(header, worker: 0, now: 0, initializerTask: nil) else {
        Issue.record("it is a part")
        return nil
      }
      return work
    }
    #expect(throws: ChannelViolation.self) { try part(a.task, slot: a.slot) }
    try machine.hears(.started, a.task, slot: a.slot, worker: 0)
    let (first, second) = (try part(a.task, slot: a.slot), try part(a.task, slot: a.slot))
    #expect(first == a.work && second == a.work)
    #expect(throws: ChannelViolation.self) { try part(b.task, slot: b.slot) }
    // It is still the one that the worker's end costs.
    let death = machine.workerGone(0) { _ in true }
    #expect(death.lost == [a.work])
    #expect(machine.queued == [b.task])
  }

  @Test func theInitializersFailureIsBelievedOnlyBeforeTheWorkerIsReady() throws {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    machine.spawning = 1
    let worker = machine.workerSpawned("w")
    let failure = ChannelHeader(.refused, task: WorkerBlueprint.initializerTask)
    let task = WorkerBlueprint.initializerTask
    guard case .initializerFailed = try machine.heard(failure, worker: worker, now: 0, initializerTask: task) else {
      Issue.record("not believed")
      return
    }
    #expect(throws: ChannelViolation.self, "there is no initializer") {
      try machine.heard(failure, worker: worker, now: 0, initializerTask: nil)
    }
    machine.workerReady(worker)
    #expect(throws: ChannelViolation.self) {
      try machine.heard(failure, worker: worker, now: 0, initializerTask: task)
    }
  }

  @Test func aDeathCostsOneTaskWhateverTheClaimWordsSay() throws {
    var (machine, tasks) = try machine(tasks: 200)
    var death = machine.workerGone(0) { _ in true }
    #expect(death.lost.count == 1)
    #expect(machine.queue.count == 199)
    (machine, tasks) = try self.machine(tasks: 200)
    try machine.hears(.started, tasks[77].task, slot: tasks[77].slot, worker: 0)
    death = machine.workerGone(0) { _ in true }
    #expect(death.lost == [77], "the one that it had announced")
    #expect(machine.queue.count == 199)
  }

  /// A task whose claim word says ended although its answer does not come.
  @Test func anAnswerThatIsOwedIsDueOnce() throws {
    var (machine, tasks) = try machine(tasks: 2)
    try machine.hears(.started, tasks[0].task, slot: tasks[0].slot, worker: 0)
    machine.answerIsDue(worker: 0, by: 100)
    machine.answerIsDue(worker: 0, by: 900)
    #expect(machine.nextDeadline == 100)
    #expect(machine.takeOverdue(now: 99).isEmpty)
    var honest = machine
    try honest.hears(.returned, tasks[0].task, slot: tasks[0].slot, worker: 0)
    #expect(honest.nextDeadline == nil)
    #expect(honest.takeOverdue(now: 1000).isEmpty)
    let overdue = machine.takeOverdue(now: 100)
    #expect(overdue.map(\.due) == [.answer])
    #expect(machine.takeOverdue(now: 1000).isEmpty)
  }

  /// Random frames about real and invented tasks, revocations, then a death: every task is answered, lost or queued, and one
  /// at most is lost.
  @Test(arguments: 0..<50)
  func noTaskIsForgotten(_ seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    var (machine, tasks) = try machine(tasks: 64)
    var answered: Set<Int> = []
    let kinds: [ChannelHeader.Kind] = [.started, .returned, .refused, .skipped, .leaving, .threw]
    do {
      for _ in 0..<400 {
        let task = tasks.randomElement(using: &random)!
        let kind = kinds.randomElement(using: &random)!
        if Int.random(in: 0..<20, using: &random) == 0 {
          let claim = machine.unstarted(of: 0).randomElement(using: &random)
          if let claim { machine.revoked(claim, requeue: true) }
        }
        // Mostly the truth, or nothing would go on for long.
        if Int.random(in: 0..<50, using: &random) > 0 {
          let begun = machine.workers[0]!.begun
          switch kind {
          case .leaving: break
          case .started: if begun != nil || machine.slots[0, task.slot] != .task(task.task) { continue }
          case .skipped: if machine.slots[0, task.slot] != .revoked { continue }
          default: if begun != task.slot || machine.slots[0, task.slot] != .task(task.task) { continue }
          }
        }
        if case .ended(let work?) = try machine.hears(kind, task.task, slot: task.slot, worker: 0) {
          #expect(answered.insert(work).inserted)
        }
      }
    } catch is ChannelViolation {}
    let death = machine.workerGone(0) { _ in Bool.random(using: &random) }
    #expect(death.lost.count <= 1)
    let queued = machine.queued.compactMap { machine.record($0)?.work }
    #expect(answered.union(death.lost).union(queued) == Set(0..<64))
    #expect(queued.count == machine.queue.count)
    #expect(answered.count + death.lost.count + queued.count == 64)
  }
}
