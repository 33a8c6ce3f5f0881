import Testing

@testable import ConcurrentFutures

extension Scheduler {
  /// The worker says so, and nothing is wrong with it.
  @discardableResult
  mutating func hears(
    _ kind: ChannelHeader.Kind, _ id: TaskID = TaskID(bits: 0), slot: Int = 0, worker: Int, nanoseconds: UInt32 = 0
  ) throws -> Heard {
    let header = ChannelHeader(kind, slot: slot, task: id.bits, nanoseconds: nanoseconds)
    return try heard(header, worker: worker, now: 0, initializerTask: nil)
  }

  mutating func workerReady(_ worker: Int) {
    #expect(throws: Never.self) { try self.hears(.hello, worker: worker) }
  }
}

@Suite struct ProcessSchedulerTests {
  typealias Machine = Scheduler<String, String>

  private func accepted(_ machine: inout Machine, _ work: String, retries: Int = 0) -> TaskID {
    guard case .accepted(let id) = machine.submit(work, retries: retries) else {
      Issue.record("not accepted")
      return TaskID(bits: 0)
    }
    return id
  }

  private func ready(_ machine: inout Machine, _ names: String...) -> [Int] {
    machine.spawning += names.count
    return names.map { name in
      let index = machine.workerSpawned(name)
      machine.workerReady(index)
      return index
    }
  }

  @Test func spawnsAsManyWorkersAsThereIsWork() {
    var machine = Machine(maxWorkers: 3, maxTasksPerWorker: nil)
    #expect(machine.takeSpawns() == 0)
    _ = accepted(&machine, "a")
    #expect(machine.takeSpawns() == 1)
    #expect(machine.takeSpawns() == 0)
    for work in ["b", "c", "d", "e"] { _ = accepted(&machine, work) }
    #expect(machine.takeSpawns() == 2)
  }

  @Test func idleWorkersComeFirstAndOthersGetNothingAheadUntilMeasured() {
    var machine = Machine(maxWorkers: 2, maxTasksPerWorker: nil)
    _ = ready(&machine, "1", "2")
    for work in ["a", "b", "c"] { _ = accepted(&machine, work) }
    #expect(machine.nextAssignment()?.handle == "1")
    #expect(machine.nextAssignment()?.handle == "2")
    #expect(machine.nextAssignment()?.work == nil)
  }

  @Test func aDeathCostsTheStartedTaskAndPutsTheOthersBackInFront() throws {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    let worker = ready(&machine, "1")[0]
    let first = accepted(&machine, "a")
    var assignment = machine.nextAssignment()!
    try machine.hears(.started, first, slot: assignment.slot, worker: worker)
    try machine.hears(.returned, first, slot: assignment.slot, worker: worker, nanoseconds: 100)
    let tasks = ["b", "c", "d", "e"].map { accepted(&machine, $0) }
    assignment = machine.nextAssignment()!
    while machine.nextAssignment() != nil {}
    try machine.hears(.started, tasks[0], slot: assignment.slot, worker: worker)
    let death = machine.workerGone(worker) { $0 == assignment.slot }
    #expect(death.lost == ["b"])
    #expect(!death.isOneTooMany)
    _ = ready(&machine, "2")
    #expect(machine.queue.count == 3)
    #expect(machine.nextAssignment()?.work == "c")
  }

  @Test func retriesAreCounted() throws {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    _ = accepted(&machine, "a", retries: 1)
    for lost in [[], ["a"]] {
      let worker = ready(&machine, "w")[0]
      let assignment = machine.nextAssignment()!
      try machine.hears(.started, assignment.task, slot: assignment.slot, worker: worker)
      #expect(machine.workerGone(worker) { _ in true }.lost == lost)
    }
    #expect(machine.isIdle)
  }

  @Test func earlyDeathsBreakThePoolInTheEnd() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for n in 1...Machine.mostEarlyDeaths {
      machine.spawning += 1
      let worker = machine.workerSpawned("w")
      #expect(machine.workerGone(worker) { _ in false }.isOneTooMany == (n == Machine.mostEarlyDeaths))
    }
  }

  /// A worker that comes up, and may or may not begin a task, and dies.
  private func live(_ machine: inout Machine, starts: Bool, wasKilled: Bool = false) -> Bool {
    let worker = ready(&machine, "w")[0]
    if starts {
      _ = accepted(&machine, "a")
      let assignment = machine.nextAssignment()!
      #expect(throws: Never.self) {
        try machine.hears(.started, assignment.task, slot: assignment.slot, worker: worker)
        try machine.hears(.returned, assignment.task, slot: assignment.slot, worker: worker, nanoseconds: 1)
      }
    }
    return machine.workerGone(worker, wasKilled: wasKilled) { _ in false }.isOneTooMany
  }

  @Test func workersThatComeUpAndDieBeforeTheirFirstTaskBreakThePoolToo() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for n in 1...Machine.mostEarlyDeaths {
      #expect(live(&machine, starts: false) == (n == Machine.mostEarlyDeaths))
    }
  }

  @Test func onlyATaskThatBeginsForgivesEarlyDeaths() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for _ in 0..<3 {
      for _ in 1..<Machine.mostEarlyDeaths { #expect(!live(&machine, starts: false)) }
      #expect(!live(&machine, starts: true))
    }
    #expect(machine.earlyDeaths == 0)
  }

  @Test func deathsOfIdleWorkersThatHaveServedAreNotEarly() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for _ in 0..<500 { #expect(!live(&machine, starts: true, wasKilled: true)) }
    for _ in 0..<50 { #expect(!live(&machine, starts: true)) }
    #expect(machine.earlyDeaths == 0)
  }

  @Test func idleWorkersThatAreKilledFromOutsideAreReplacedForLong() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    let most = Machine.mostEarlyDeaths * Machine.weightOfEarlyDeath
    for n in 1...most { #expect(live(&machine, starts: false, wasKilled: true) == (n == most)) }
  }

  @Test func aTaskThatHadBegunUnheardIsNoEarlyDeath() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for _ in 0..<20 {
      let worker = ready(&machine, "w")[0]
      _ = accepted(&machine, "a")
      let assignment = machine.nextAssignment()!
      let death = machine.workerGone(worker) { $0 == assignment.slot }
      #expect(death.lost == ["a"])
      #expect(!death.isOneTooMany)
    }
  }

  @Test func aWorkerThatClaimsToHaveStartedWhatItWasNotGivenHasStartedNothing() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    for n in 1...Machine.mostEarlyDeaths {
      let worker = ready(&machine, "w")[0]
      #expect(throws: ChannelViolation.self) {
        try machine.hears(.started, TaskID(index: 0, generation: 0), worker: worker)
      }
      #expect(machine.workerGone(worker) { _ in false }.isOneTooMany == (n == Machine.mostEarlyDeaths))
    }
  }

  @Test func cancelledTasksLeaveTheQueue() {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
    let tasks = ["a", "b", "c"].map { accepted(&machine, $0) }
    #expect(machine.cancel(tasks[1])?.slot == nil)
    #expect(machine.cancel(tasks[1])?.slot == nil, "twice is harmless")
    #expect(machine.queue.count == 2)
    _ = ready(&machine, "1")
    #expect(machine.nextAssignment()?.work == "a")
    let claim = machine.cancel(tasks[0])
    #expect(claim?.handle == "1")
  }

  @Test func usedUpWorkersRetire() throws {
    var machine = Machine(maxWorkers: 1, maxTasksPerWorker: 2)
    let worker = ready(&machine, "1")[0]
    for work in ["a", "b"] { _ = accepted(&machine, work) }
    for _ in 0..<2 {
      let assignment = machine.nextAssignment()!
      #expect(machine.takeRetired().isEmpty)
      try machine.hears(.started, assignment.task, slot: assignment.slot, worker: worker)
      try machine.hears(.returned, assignment.task, slot: assignment.slot, worker: worker, nanoseconds: 1)
    }
    #expect(machine.takeRetired() == ["1"])
    _ = accepted(&machine, "c")
    #expect(machine.nextAssignment()?.work == nil)
    #expect(machine.takeSpawns() == 1)
  }
}
