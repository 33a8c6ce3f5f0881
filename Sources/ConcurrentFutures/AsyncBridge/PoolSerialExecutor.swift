import CPlatformSupport
import Synchronization

/// Runs jobs one at a time, in their order, on whatever thread of a pool is free.
///
/// The actor that uses it keeps it alive, and it keeps the pool's threads' owner alive; the jobs of an actor whose pool has
/// ended run on Swift's default executor, still one at a time.
final class PoolSerialExecutor: SerialExecutor {
  private struct State {
    var jobs = CompactingQueue<UnownedJob>()
    var isDraining = false

    /// Whether somebody has to be sent to drain.
    mutating func add(_ job: UnownedJob) -> Bool {
      jobs.append(job)
      defer { isDraining = true }
      return !isDraining
    }

    mutating func takeNext() -> UnownedJob? {
      let job = jobs.popFirst()
      if job == nil { isDraining = false }
      return job
    }
  }

  private let core: PoolCore
  private let state = Mutex(State())

  init(_ core: PoolCore) { self.core = core }

  func enqueue(_ job: consuming ExecutorJob) {
    let priority = TaskPriority(job.priority) ?? .medium
    let job = UnownedJob(job)
    if state.withLock({ $0.add(job) }) { core.submit(Drain(self), priority: priority, .always) }
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// Runs what there is, then gives the thread back.
  private func drain() {
    while let job = state.withLock({ $0.takeNext() }) { job.runSynchronously(on: asUnownedSerialExecutor()) }
  }

  /// One visit of a worker.
  private final class Drain: _PoolItem, @unchecked Sendable {
    private let executor: PoolSerialExecutor

    init(_ executor: PoolSerialExecutor) {
      self.executor = executor
      super.init(work: { unsafeDowncast($0, to: Drain.self).executor.drain() })
    }

    override func rejected(because error: any Error) { elsewhere() }
    override func cancelBeforeStart() { elsewhere() }

    private func elsewhere() { Task.detached { [executor] in executor.drain() } }
  }
}
