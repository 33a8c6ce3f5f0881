import Synchronization

/// One call of ``ThreadPool/run(_:)``: the executor of the calling Task, or of one made from it, for this call alone.
///
/// A Task that prefers an executor is handed to it as a job. An executor of its own lets the call know its job, and so take
/// it out of the pool's queue when the Task is cancelled: the job then runs on Swift's default executor, where the call finds
/// that it was cancelled. Unlike a continuation, a job sees the task-local values.
final class BlockingCall: _PoolItem, TaskExecutor, @unchecked Sendable {
  /// The pure part: where the call's job is.
  struct Phase {
    private enum Place {
      case notQueued
      case queued
      case taken
      case given(up: any Error)
    }
    private var place = Place.notQueued

    /// The runtime hands the job over. False if it must not be queued.
    mutating func queue() -> Bool {
      guard case .notQueued = place else { return false }
      place = .queued
      return true
    }

    /// A worker takes the job. False if it was taken away.
    mutating func take() -> Bool {
      guard case .queued = place else { return false }
      place = .taken
      return true
    }

    /// The call is not to start. True if the job has to be taken elsewhere.
    mutating func giveUp(_ error: any Error) -> Bool {
      switch place {
      case .notQueued:
        place = .given(up: error)
        return false
      case .queued:
        place = .given(up: error)
        return true
      case .taken, .given: return false
      }
    }

    var error: (any Error)? {
      if case .given(let error) = place { error } else { nil }
    }
  }

  private struct State {
    var phase = Phase()
    var job: UnownedJob?
  }

  private let core: PoolCore
  private let admission: PoolCore.Admission
  private let state = Mutex(State())
  /// For what the body forks: other threads have no current Task to ask.
  private let isCancelled = Atomic(false)

  /// The caller's thread looks for the end of the call before it is suspended.
  let isAwaitedBriefly: Bool
  private let isOver = Atomic(false)

  init(_ core: PoolCore, _ admission: PoolCore.Admission, isAwaitedBriefly: Bool) {
    self.core = core
    self.admission = admission
    self.isAwaitedBriefly = isAwaitedBriefly
    super.init(work: { unsafeDowncast($0, to: BlockingCall.self).runJob() })
  }

  /// Before the body: throws if it is not to run.
  func mayStart() throws {
    if let error = state.withLock({ $0.phase.error }) { throw error }
  }

  func cancel() {
    isCancelled.store(true, ordering: .relaxed)
    giveUp(CancellationError())
  }

  // MARK: TaskExecutor

  func enqueue(_ job: consuming ExecutorJob) {
    let priority = TaskPriority(job.priority) ?? .medium
    let job = UnownedJob(job)
    let queue = state.withLock { state in
      guard state.phase.queue() else { return false }
      state.job = job
      return true
    }
    if queue {
      core.submit(self, Lane(priority), admission, isAwaited: isAwaitedBriefly)
    } else {
      if admission == .reserved { core.returnPlace() }
      runElsewhere(job)
    }
  }

  // MARK: what the pool calls

  private func runJob() {
    let job = state.withLock { $0.phase.take() ? $0.job.take() : nil }
    job?.runSynchronously(on: asUnownedTaskExecutor())
    // After the Task has told who awaits it.
    isOver.store(true, ordering: .releasing)
  }

  /// Looks for a moment whether the call is over. Nobody has been woken for it if a worker is up: mostly that one has only to
  /// come back from its last task. Where it does not, the others are called.
  func awaitBriefly() {
    var looks = 0
    let ended = Spinning.until {
      if isOver.load(ordering: .acquiring) { return true }
      looks += 1
      if looks == 50 { core.wakeForQueue() }
      return false
    }
    if looks < 50, !ended { core.wakeForQueue() }
    core.briefWaits.looked(ended)
  }

  override func rejected(because error: any Error) { giveUp(error) }
  override func cancelBeforeStart() { cancel() }
  override var isAskedToStop: Bool { isCancelled.load(ordering: .relaxed) }
  override var isSpent: Bool { state.withLock { $0.job == nil } }

  private func giveUp(_ error: any Error) {
    isOver.store(true, ordering: .releasing)
    let job = state.withLock { $0.phase.giveUp(error) ? $0.job.take() : nil }
    if let job { runElsewhere(job) }
  }

  private func runElsewhere(_ job: UnownedJob) { globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
}
