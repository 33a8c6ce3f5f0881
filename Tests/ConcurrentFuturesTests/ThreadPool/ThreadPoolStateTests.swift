import Testing

@testable import ConcurrentFutures

private struct Counts: Equatable, CustomStringConvertible {
  var live: Int
  var active: Int
  var searching: Int
  var idle = 0
  var queued = 0
  var description: String { "live \(live) active \(active) searching \(searching) idle \(idle) queued \(queued)" }

  init(live: Int, active: Int, searching: Int, idle: Int = 0, queued: Int = 0) {
    (self.live, self.active, self.searching, self.idle, self.queued) = (live, active, searching, idle, queued)
  }
  init(_ state: borrowing PoolState) {
    self.init(
      live: state.live, active: state.active, searching: state.searching, idle: state.idle.count,
      queued: state.queue.count)
  }
}

private enum Wakened: Equatable {
  case nobody
  case wake(Int)
  case start(Int)
  case call(Int)
  case rejected

  init(_ wake: PoolState.Wake) {
    switch wake {
    case .nobody: self = .nobody
    case .wake(let worker): self = .wake(worker.index)
    case .start(let index): self = .start(index)
    case .call(let worker): self = .call(worker.index)
    }
  }
  init(_ action: PoolState.SubmitAction) {
    switch action {
    case .accepted(let wake): self.init(wake)
    case .rejected: self = .rejected
    }
  }
}

/// The state machine alone, with workers that never run.
@Suite struct ThreadPoolStateTests {
  private let core = PoolCore(name: "pure", maximum: 2, limit: .unlimited, keepAlive: .seconds(1), initializer: nil)
  private func entry(_ number: Int = 1) -> QueueEntry { QueueEntry(bits: UInt(number) << 4 | QueueEntry.frameKind) }
  private func worker(_ index: Int) -> Worker { Worker(core, index: index) }

  /// A worker that was started, has found the one queued entry and works.
  private func startWorking(_ state: inout PoolState, _ index: Int) -> Worker {
    let wake = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(wake == .start(index))
    let worker = worker(index)
    state.workerStarted(worker)
    _ = state.queue.popFirst()
    _ = state.found()
    return worker
  }

  @Test func startsAWorkerForEachTaskUpToTheMaximum() {
    var state = PoolState(maximum: 2, spareLimit: 4)
    let wakes = (0..<4).map { Wakened(state.submit(entry($0), .medium, name: "pure")) }
    #expect(wakes == [.start(1), .start(2), .nobody, .nobody])
    #expect(Counts(state) == Counts(live: 2, active: 2, searching: 2, queued: 4))
  }

  @Test func submissionWakesTheLastThatFellAsleep() {
    var state = PoolState(maximum: 2, spareLimit: 0)
    let first = startWorking(&state, 1)
    let second = startWorking(&state, 2)
    for worker in [first, second] {
      state.search()
      guard case .park = state.park(worker) else {
        Issue.record("a worker with nothing to do parks")
        return
      }
    }
    let asleep = Counts(state)
    #expect(asleep == Counts(live: 2, active: 0, searching: 0, idle: 2))
    let one = Wakened(state.submit(entry(), .medium, name: "pure"))
    let other = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(one == .wake(2))
    #expect(other == .wake(1))
    #expect(!first.isIdle && !second.isIdle)
  }

  @Test func whoAwaitsItsItemIsLeftToAskAgainWhileAWorkerIsUp() {
    var state = PoolState(maximum: 2, spareLimit: 0)
    // Nobody is there who could come by itself.
    let start = Wakened(state.submit(entry(), .medium, name: "pure", isAwaited: true))
    #expect(start == .start(1))
    _ = startWorking(&state, 2)
    let submission = Wakened(state.submit(entry(), .medium, name: "pure", isAwaited: true))
    #expect(submission == .nobody)
  }

  @Test func nobodyIsWokenWhileEnoughAreSearching() {
    var state = PoolState(maximum: 4, spareLimit: 0)
    let first = Wakened(state.submit(entry(), .medium, name: "pure"))
    let again = Wakened(state.wakeForQueue())
    let forDeque = Wakened(state.wakeForDeque())
    let wants = state.wantsWork
    #expect(first == .start(1))
    #expect(again == .nobody)
    #expect(forDeque == .nobody)
    #expect(!wants)
  }

  @Test func whoFindsWorkWakesTheNextForTheRest() {
    var state = PoolState(maximum: 4, spareLimit: 0)
    _ = state.submit(entry(1), .medium, name: "pure")
    state.workerStarted(worker(1))
    // Two more came while one was on its way to the first.
    state.queue.append(entry(2), .medium)
    _ = state.queue.popFirst()
    let wake = Wakened(state.found())
    #expect(wake == .start(2))
  }

  @Test func workerDoesNotParkOverQueuedWork() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    let worker = startWorking(&state, 1)
    state.search()
    let wake = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(wake == .nobody)
    guard case .goOn = state.park(worker) else {
      Issue.record("the queued entry would be nobody's")
      return
    }
    #expect(Counts(state) == Counts(live: 1, active: 1, searching: 1, queued: 1))
  }

  @Test func blockedWorkerIsReplacedAndTheSurplusParks() {
    var state = PoolState(maximum: 1, spareLimit: 1)
    let first = startWorking(&state, 1)
    _ = state.submit(entry(), .medium, name: "pure")
    let wake = Wakened(state.block())
    #expect(wake == .start(2))
    let spare = worker(2)
    state.workerStarted(spare)
    _ = state.queue.popFirst()
    _ = state.found()
    state.unblock()
    let crowded = Counts(state)
    #expect(crowded == Counts(live: 2, active: 2, searching: 0))
    // One too many: the next to look for work parks, even though there is some.
    state.queue.append(entry(), .medium)
    state.search()
    guard case .park = state.park(first) else {
      Issue.record("more than the maximum would be active")
      return
    }
    #expect(Counts(state) == Counts(live: 2, active: 1, searching: 0, idle: 1, queued: 1))
    _ = spare
  }

  @Test func blockedWorkerIsCalledBackWhereNoneCanBeAdded() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    let first = startWorking(&state, 1)
    let wake = Wakened(state.blockCallably(first))
    #expect(wake == .nobody)
    #expect(first.isCallable)
    let wants = state.wantsWork
    #expect(wants)
    let call = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(call == .call(1))
    let returned = state.unblockCallable(first)
    #expect(!returned, "it was called, and counts as searching")
    _ = state.queue.popFirst()
    _ = state.found()
    #expect(Counts(state) == Counts(live: 1, active: 1, searching: 0))
    // Uncalled, it goes on as working.
    _ = state.blockCallably(first)
    let uncalled = state.unblockCallable(first)
    #expect(uncalled)
    #expect(Counts(state) == Counts(live: 1, active: 1, searching: 0))
  }

  @Test func idleWorkerStaysIdleWhileAllPlacesAreTaken() {
    var state = PoolState(maximum: 1, spareLimit: 1)
    let first = startWorking(&state, 1)
    _ = state.block()
    let spare = startWorking(&state, 2)
    state.unblock()
    state.search()
    _ = state.park(spare)
    // The worker that has the place keeps work in its own deque.
    let tooMany = state.unpark(spare)
    #expect(!tooMany)
    #expect(Counts(state) == Counts(live: 2, active: 1, searching: 0, idle: 1))
    _ = state.block()
    let wanted = state.unpark(spare)
    #expect(wanted)
    #expect(Counts(state) == Counts(live: 2, active: 1, searching: 1))
    _ = first
  }

  @Test func keepAliveEndsOnlyForWhoIsStillIdle() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    let worker = startWorking(&state, 1)
    state.search()
    _ = state.park(worker)
    _ = state.submit(entry(), .medium, name: "pure")
    let tooLate = state.keepAliveOver(worker)
    #expect(!tooLate)
    _ = state.queue.popFirst()
    _ = state.found()
    state.search()
    _ = state.park(worker)
    let gone = state.keepAliveOver(worker)
    #expect(gone)
    #expect(Counts(state) == Counts(live: 0, active: 0, searching: 0))
    let again = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(again == .start(2))
  }

  @Test func drainingTakesNothingMoreAndEndsWithTheLastWorker() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    let worker = startWorking(&state, 1)
    _ = state.submit(entry(), .medium, name: "pure")
    let idle = state.beginDraining()
    #expect(idle.isEmpty)
    let again = state.beginDraining()
    #expect(again.isEmpty)
    let late = Wakened(state.submit(entry(), .medium, name: "pure"))
    #expect(late == .rejected)
    let rejection = state.rejection(name: "pure")
    #expect(rejection is ExecutorShutDownError)
    let job = Wakened(state.submitJob(entry(), .medium))
    #expect(job == .nobody, "jobs of accepted Tasks still come")
    _ = state.queue.popFirst()
    _ = state.queue.popFirst()
    state.search()
    let before = state.isOver
    #expect(!before)
    guard case .leave = state.park(worker) else {
      Issue.record("a worker of an ending pool leaves")
      return
    }
    let (over, drained) = (state.isOver, state.isDrained)
    #expect(over && drained)
    let afterwards = Wakened(state.submitJob(entry(), .medium))
    #expect(afterwards == .rejected)
  }

  @Test func drainingSendsIdleWorkersAway() {
    var state = PoolState(maximum: 2, spareLimit: 0)
    let first = startWorking(&state, 1)
    let second = startWorking(&state, 2)
    for worker in [first, second] {
      state.search()
      _ = state.park(worker)
    }
    let woken = state.beginDraining()
    #expect(woken.map(\.index) == [1, 2])
    for worker in woken {
      guard case .leave = state.park(worker) else {
        Issue.record("a worker of an ending pool leaves")
        return
      }
    }
    #expect(Counts(state) == Counts(live: 0, active: 0, searching: 0))
    let over = state.isOver
    #expect(over)
  }

  @Test func whoWaitsForTheEndCountsOnceAsLeaving() {
    var state = PoolState(maximum: 2, spareLimit: 0)
    let worker = startWorking(&state, 1)
    _ = state.beginDraining()
    let before = state.isDrained
    #expect(!before)
    state.leaves(worker)
    state.leaves(worker)
    let nested = state.isDrained
    #expect(nested)
    state.goesOn(worker)
    let inner = state.isDrained
    #expect(inner)
    state.goesOn(worker)
    let after = state.isDrained
    #expect(!after)
  }

  @Test func asynchronousBodiesKeepThePoolFromEnding() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    let (first, second) = (PoolBody(pool: 1), PoolBody(pool: 1))
    state.asyncBodyBegins()
    state.asyncBodyBegins()
    _ = state.beginDraining()
    state.leaves(first)
    state.leaves(first)
    let withSecond = state.isDrained
    #expect(!withSecond, "two waits of one body are not two bodies")
    state.asyncBodyEnds(second)
    let drained = state.isDrained
    #expect(drained)
    state.goesOn(first)
    state.goesOn(first)
    state.asyncBodyEnds(first)
    // A Task that the body has left behind.
    state.leaves(first)
    let over = (state.isDrained, state.isOver)
    #expect(over == (true, true))
  }

  @Test func brokenPoolGivesUpItsQueueOnce() {
    var state = PoolState(maximum: 1, spareLimit: 0)
    _ = state.submit(entry(1), .high, name: "pure")
    _ = state.submit(entry(2), .low, name: "pure")
    let error = BrokenExecutorError(name: "pure", reason: "test")
    let entries = state.breakDown(error).entries
    #expect(entries.count == 2)
    let second = state.breakDown(BrokenExecutorError(name: "pure", reason: "other")).entries
    #expect(second.isEmpty)
    let rejection = state.rejection(name: "pure") as? BrokenExecutorError
    #expect(rejection?.reason == "test")
    let drained = state.beginDraining()
    #expect(drained.isEmpty)
    let still = state.isBroken
    #expect(still)
  }

  @Test func failedStartCallsAWorkerThatWaits() {
    var state = PoolState(maximum: 1, spareLimit: 4)
    let first = startWorking(&state, 1)
    _ = state.submit(entry(), .medium, name: "pure")
    let spare = Wakened(state.blockCallably(first))
    #expect(spare == .start(2))
    let (entries, wake) = state.startFailed(BrokenExecutorError(name: "pure", reason: "no thread"))
    let called = Wakened(wake)
    #expect(entries.isEmpty)
    #expect(called == .call(1))
    #expect(Counts(state) == Counts(live: 1, active: 1, searching: 1, queued: 1))
  }

  @Test func failedStartBreaksThePoolOnlyWithTheLastWorker() {
    var state = PoolState(maximum: 2, spareLimit: 0)
    _ = state.submit(entry(1), .medium, name: "pure")
    _ = state.submit(entry(2), .medium, name: "pure")
    let error = BrokenExecutorError(name: "pure", reason: "no thread")
    let first = state.startFailed(error).entries
    let running = state.isRunning
    #expect(first.isEmpty && running)
    let second = state.startFailed(error).entries
    let broken = state.isBroken
    #expect(second.count == 2 && broken)
    #expect(Counts(state) == Counts(live: 0, active: 0, searching: 0))
  }
}
