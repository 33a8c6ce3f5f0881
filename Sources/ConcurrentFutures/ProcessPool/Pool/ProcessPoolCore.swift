#if os(Linux) || os(macOS)
import CPlatformSupport
import Synchronization

/// What stands behind a `ProcessPool`: the scheduler and its lock, and what follows from each event.
///
/// It outlives the pool object that the user holds, until its work is done: the driver's thread keeps it.
///
/// **Locking.** One lock, around the scheduler. Whoever brings an event takes it, asks, gives it back, and then acts: sends
/// frames, signals workers, completes futures. Claim words are asked under the lock, as that is one atomic step.
final class ProcessPoolCore: @unchecked Sendable {
  typealias PoolScheduler = Scheduler<ProcessWork, WorkerHandle>

  struct State: Sendable {
    var scheduler: PoolScheduler
    var hasDriver = false
    var isClosed = false
    /// `shutdown(cancelPending: true)` was called: what has not begun does not begin.
    var cancelsPending = false
    /// Futures of `start()`.
    var starting: [Future<Void>] = []
  }

  let name: String
  let maxWorkers: Int
  let blueprint: WorkerBlueprint
  let state: AdaptivelyLocked<State>
  /// Done when every worker is gone after a shutdown.
  let closed = Future<Void>()
  let driver = PoolDriver()
  let driverState = DriverState()
  let gracePeriod: UInt64
  /// How long a worker may take for what takes an honest one next to no time: to send the answer of a task that has ended, to go when it
  /// was told to. Long, since large answers on a loaded machine take their time. In nanoseconds; tests shorten it.
  @exclusivity(unchecked) var patience: UInt64 = 30_000_000_000
  let briefWaits = BriefWaits()
  /// How many answers are being decoded elsewhere than on the driver's thread.
  let decoding = Atomic(0)
  let waitsForDecoding = Atomic(false)
  /// Work whose future is done, and whose callbacks are still to be run by the driver.
  let undelivered = AdaptivelyLocked<[ProcessWork]>([])
  /// How many calls are about to end futures that the scheduler has given up.
  let endings = Atomic(0)
  private let closuresWork: Bool
  /// A worker ends after so many tasks.
  let recycles: Bool

  init(name: String, maxWorkers: Int, maxTasksPerWorker: Int?, blueprint: WorkerBlueprint) {
    self.name = name
    self.maxWorkers = maxWorkers
    self.blueprint = blueprint
    gracePeriod = blueprint.options.terminationGracePeriod.clampedNanoseconds
    closuresWork = blueprint.isSameBuild
    recycles = maxTasksPerWorker != nil
    state = AdaptivelyLocked(
      State(scheduler: PoolScheduler(maxWorkers: maxWorkers, maxTasksPerWorker: maxTasksPerWorker)))
    LivePools.add(self)
  }

  // MARK: submitting

  func submit(_ work: ProcessWork, retries: Int, wasAccepted: Bool = false) {
    if let subject = work.function.boundToBuild, !closuresWork {
      work.fail(TaskEncodingError(subject, notInAnotherExecutable(subject, work.function)))
      return
    }
    var followUp = FollowUp()
    var refusal: (any Error)?
    state.withLock { state in
      // What travels again when its pool has ended comes too late: nobody is there any more to run it.
      if wasAccepted, state.isClosed, !state.scheduler.isStopped {
        refusal = ExecutorShutDownError(name: name)
        return
      }
      switch state.scheduler.submit(work, retries: retries, wasAccepted: wasAccepted) {
      case .accepted(let id):
        work.id = id
        dispatch(&state, &followUp)
      case .rejected: refusal = ExecutorShutDownError(name: name)
      case .broken(let error): refusal = error
      }
    }
    if let refusal {
      work.fail(refusal)
    } else {
      act(followUp)
    }
  }

  private func notInAnotherExecutable(
    _ subject: TaskEncodingError.Subject, _ function: FunctionDefinition
  ) -> String {
    let other = "the workers run another executable (\(blueprint.options.workerExecutable ?? "")), where "
    return subject == .closure
      ? other + "the code of this closure is not known. Submit a ProcessTask of a type that both programs have"
      : other + "\(function.name) cannot be found: it is private or local. Make it internal or public, in a module "
        + "that both programs have"
  }

  /// What is to be done when the lock has been given back.
  struct FollowUp: Sendable {
    var assignments: [PoolScheduler.Assignment] = []
    var stopping: [WorkerHandle] = []
    var retired: [WorkerHandle] = []
    var wakesDriver = false
  }

  /// Hands out what can be handed out. Under the lock.
  func dispatch(_ state: inout State, _ followUp: inout FollowUp) {
    while let assignment = state.scheduler.nextAssignment() {
      assignment.handle.claims.offer(assignment.slot)
      followUp.assignments.append(assignment)
    }
    if state.scheduler.needsSpawn { followUp.wakesDriver = true }
    followUp.retired += state.scheduler.takeRetired(killAt: cf_now() &+ patience)
    if !state.scheduler.isOpen, state.scheduler.isEmpty { followUp.wakesDriver = true }
  }

  /// Under no lock.
  func act(_ followUp: FollowUp) {
    for assignment in followUp.assignments {
      let work = assignment.work
      let header = ChannelHeader(
        .run, slot: assignment.slot, task: assignment.task.bits, function: work.function.number)
      assignment.handle.send(work.frame(header), defining: work.function)
    }
    for worker in followUp.stopping { worker.requestStop() }
    for worker in followUp.retired { worker.endSending() }
    // Stopping and going have a time limit, which the driver looks after.
    if followUp.wakesDriver || !followUp.stopping.isEmpty || !followUp.retired.isEmpty { wakeDriver() }
  }

  var cancelsPending: Bool { state.withLock { $0.cancelsPending } }

  // MARK: taking back

  /// A task's future was cancelled.
  func cancelled(_ work: ProcessWork) {
    var followUp = FollowUp()
    state.withLock { state in
      guard let claim = state.scheduler.cancel(work.id) else { return }
      takeBack(claim, &state, &followUp)
      dispatch(&state, &followUp)
    }
    act(followUp)
  }

  /// Takes a task from its worker, which is stopped if it has begun. False: it has just finished. Under the lock.
  @discardableResult
  func takeBack(_ claim: PoolScheduler.Claim, _ state: inout State, _ followUp: inout FollowUp) -> Bool {
    switch claim.handle.claims.takeBack(claim.slot) {
    case .revoked:
      if state.scheduler.hasBegun(claim) {
        // The worker has announced it, and then changed the word.
        stop(claim, killAt: cf_now(), &state, &followUp)
      } else {
        state.scheduler.revoked(claim, requeue: false)
      }
    case .finished:
      state.scheduler.remove(claim.task)
      state.scheduler.answerIsDue(worker: claim.worker, by: cf_now() &+ patience)
      followUp.wakesDriver = true
      return false
    case .stopping: stop(claim, killAt: cf_now() &+ gracePeriod, &state, &followUp)
    }
    return true
  }

  /// Stops the worker that runs a task; what it has not begun goes back into the queue. Under the lock.
  func stop(_ claim: PoolScheduler.Claim, killAt: UInt64, _ state: inout State, _ followUp: inout FollowUp) {
    revoke(state.scheduler.stop(claim, killAt: killAt), &state)
    followUp.stopping.append(claim.handle)
  }

  /// Puts tasks that a worker has not begun back into the queue. Under the lock.
  func revoke(_ claims: [PoolScheduler.Claim], _ state: inout State) {
    for claim in claims where claim.handle.claims.revoke(claim.slot) { state.scheduler.revoked(claim, requeue: true) }
  }

  // MARK: ending

  /// Takes no more work. With `cancelPending`, what has not begun is cancelled.
  func shutDown(cancelPending: Bool) {
    var followUp = FollowUp()
    var cancelled: [ProcessWork] = []
    var starting: [Future<Void>] = []
    let isClosed = state.withLock { state in
      state.scheduler.shutDown()
      // No worker starts any more for which there is no work.
      swap(&starting, &state.starting)
      if cancelPending {
        state.cancelsPending = true
        cancelled = takeUnstarted(&state)
        for case let worker? in state.scheduler.handles { worker.requestHandBack() }
      }
      dispatch(&state, &followUp)
      endings.add(1, ordering: .relaxed)
      return closeIfNeverStarted(&state)
    }
    end {
      for work in cancelled { work.cancelFuture() }
      for future in starting { future.complete(with: .failure(ExecutorShutDownError(name: name))) }
      act(followUp)
    }
    if isClosed { closed.complete(with: .success(())) }
  }

  private func takeUnstarted(_ state: inout State) -> [ProcessWork] {
    for index in state.scheduler.workers.indices { revoke(state.scheduler.unstarted(of: index), &state) }
    return state.scheduler.queued.compactMap { state.scheduler.remove($0) }
  }

  private func closeIfNeverStarted(_ state: inout State) -> Bool {
    guard !state.hasDriver, !state.isClosed, state.scheduler.isIdle else { return false }
    state.isClosed = true
    return true
  }

  /// Ends everything now: nothing queued runs, what runs is stopped by SIGTERM, and by SIGKILL after the grace period.
  func stop(_ error: any Error, signal: StopSignal) {
    var lost: [ProcessWork] = []
    var workers: [WorkerHandle] = []
    var starting: [Future<Void>] = []
    let isClosed = state.withLock { state in
      lost = state.scheduler.stop(error)
      workers = state.scheduler.stopWorkers(killAt: cf_now() &+ (signal == .kill ? 0 : gracePeriod))
      swap(&starting, &state.starting)
      endings.add(1, ordering: .relaxed)
      return closeIfNeverStarted(&state)
    }
    for worker in workers {
      if signal == .kill { worker.kill() } else { worker.requestStop() }
      worker.endSending()
    }
    end {
      for work in lost { work.fail(error) }
      for future in starting { future.complete(with: .failure(error)) }
    }
    if isClosed { closed.complete(with: .success(())) }
  }

  /// Ends futures that the scheduler has given up, and then runs their callbacks, which may block. The pool does not close before
  /// they are done; it may while the callbacks run.
  private func end(_ body: () -> Void) {
    _FutureCore.endTogether {
      body()
      endings.subtract(1, ordering: .releasing)
      wakeDriver()
    }
  }

  enum StopSignal { case terminate, kill }

  /// Spawns every worker now; the future is done when they are up.
  func start() -> Future<Void> {
    let future = Future<Void>()
    var ready: [Future<Void>] = []
    let refusal: (any Error)? = state.withLock { state in
      switch state.scheduler.want(state.scheduler.maxWorkers) {
      case .accepted:
        state.starting.append(future)
        // They may all be up already, and then none will say so.
        ready = takeStartingIfReady(&state)
        return nil
      case .rejected: return ExecutorShutDownError(name: name)
      case .broken(let error): return error
      }
    }
    if let refusal { future.complete(with: .failure(refusal)) } else { wakeDriver() }
    for future in ready { future.complete(with: .success(())) }
    return future
  }

  /// The futures of `start()`, if they are done. Under the lock.
  func takeStartingIfReady(_ state: inout State) -> [Future<Void>] {
    guard !state.starting.isEmpty, state.scheduler.readyCount >= state.scheduler.maxWorkers else { return [] }
    defer { state.starting = [] }
    return state.starting
  }

  var workers: [WorkerHandle] {
    state.withLock { state in state.scheduler.handles.compactMap(\.self) }
  }
}
#endif
