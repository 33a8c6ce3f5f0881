import Dispatch
import Synchronization

// Threads: how they come, and how they and the pool end.

extension PoolCore {
  /// The most threads that Dispatch gives one process.
  static let dispatchThreadLimit = 255
  /// Threads of all pools in the process that came from Dispatch. The rest of the program needs some, too.
  private static let dispatchThreads = Atomic(0)
  private static let dispatchThreadShare = 240
  /// How long a worker may wait for Dispatch before a plain thread takes its place.
  private static let rescueDelay = Duration.milliseconds(50)

  static func startOnDispatch(_ label: String, _ body: @escaping @Sendable () -> Void) {
    DispatchQueue(label: label).async(execute: body)
  }

  /// Starts a worker's thread.
  ///
  /// Dispatch gives a process 255 threads, and other parts of it may hold them all: a worker that does not come would leave
  /// everything that waits for it hanging. Whoever comes first runs it: Dispatch, or after a moment a thread of our own.
  func start(_ index: Worker.Index) {
    let worker = Worker(self, index: index)
    if Self.dispatchThreads.add(1, ordering: .relaxed).newValue > Self.dispatchThreadShare {
      Self.dispatchThreads.subtract(1, ordering: .relaxed)
      startOnOwnThread(worker)
      return
    }
    let rescue = Timers.schedule(after: Self.rescueDelay) { self.startOnOwnThread(worker) }
    startsThreads(threadName(index)) {
      if worker.take() {
        rescue.cancel()
        worker.run()
      }
      Self.dispatchThreads.subtract(1, ordering: .relaxed)
    }
  }

  private func startOnOwnThread(_ worker: Worker) {
    if worker.wasTaken { return }
    let started = startDetachedThread(name: threadName(worker.index)) {
      if worker.take() { worker.run() }
    }
    if started || !worker.take() { return }
    let error = BrokenExecutorError(
      name: name, reason: "neither Dispatch nor the system has a thread for it; end some threads or use fewer workers")
    let (entries, waiters, wake) = withState { state in
      let (entries, wake) = state.startFailed(error)
      if state.isBroken { setFate(.reject) }
      return (entries, state.isRunning ? [] : takeAllSpaceWaiters(), wake)
    }
    self.wake(wake)
    fail(entries, waiters, error)
    signalEnd()
  }

  func workerStarts(_ worker: Worker) {
    withState { $0.workerStarted(worker) }
    peersVersion.add(1, ordering: .releasing)
  }

  /// Runs the initializer on the new worker's thread. False if it has failed, which breaks the pool.
  func runInitializer() -> Bool {
    guard let initializer else { return true }
    do {
      try initializer()
      return true
    } catch {
      breakDown(
        BrokenExecutorError(name: name, reason: "the initializer of a worker threw \(error)", underlyingError: error))
      return false
    }
  }

  /// A worker whose initializer has failed leaves without having worked.
  func workerFailedToStart(_ worker: Worker) {
    while case .goOn = park(worker) {}
  }

  func workerEnded() {
    peersVersion.add(1, ordering: .releasing)
    signalEnd()
  }

  private func breakDown(_ error: BrokenExecutorError) {
    let (entries, idle, waiters) = withState { state in
      let (entries, idle) = state.breakDown(error)
      setFate(.reject)
      return (entries, idle, takeAllSpaceWaiters())
    }
    for worker in idle { worker.unpark() }
    fail(entries, waiters, error)
    settleDeques()
    signalEnd()
  }

  private func fail(_ entries: [QueueEntry], _ waiters: [Future<Void>], _ error: any Error) {
    // They come back and hear what has happened.
    for waiter in waiters { waiter.complete(with: .success(())) }
    _FutureCore.endTogether {
      for entry in entries {
        switch entry.content {
        case .item(let item): item.takeRetainedValue().rejected(because: error)
        // A Task whose job is lost would hang.
        case .job(let job): globalConcurrentExecutor.enqueue(ExecutorJob(job))
        case .frame: preconditionFailure("forks are never in the pool's queue")
        }
      }
    }
  }

  /// Ends the items in the workers' deques that nobody will start, without waiting for the workers to come to them. Those
  /// behind a fork or a job stay, for only a worker may take that.
  private func settleDeques() {
    for worker in withState({ Array($0.workers.values) }) {
      while let entry = worker.deque.steal(where: \.isItem) { run(entry) }
    }
  }

  // MARK: shutdown

  /// Takes no more work. What is queued is still done, or cancelled if `cancelPending`.
  func beginShutdown(cancelPending: Bool) {
    let (idle, pending, waiters) = withState { state in
      if cancelPending && !state.isBroken { setFate(.cancel) }
      return (
        state.beginDraining(), cancelPending ? state.queue.remove { $0.item != nil } : [], takeAllSpaceWaiters()
      )
    }
    for worker in idle { worker.unpark() }
    for waiter in waiters { waiter.complete(with: .success(())) }
    _FutureCore.endTogether {
      for entry in pending {
        guard case .item(let item) = entry.content else { continue }
        item.takeRetainedValue().cancelBeforeStart()
      }
      if cancelPending { settleDeques() }
    }
    signalEnd()
  }

  /// Completes the futures that wait for the end, if this is it.
  func signalEnd() {
    let (isDrained, isOver) = withState { ($0.isDrained, $0.isOver) }
    if isDrained || isOver { drained.complete(with: .success(())) }
    if isOver { over.complete(with: .success(())) }
  }

  /// The future that a caller of `shutdown` waits for, and what it has to say when it has waited.
  ///
  /// Who is part of the pool's work itself waits for all the others only.
  func waitingForEnd(_ wait: (Future<Void>) -> Void) {
    let worker = Worker.current(of: self)?.takeUnretainedValue()
    let body = PoolBody.current.flatMap { $0.pool == identity ? $0 : nil }
    if worker == nil && body == nil {
      wait(over)
      return
    }
    worker?.giveDequeBack()
    withState { state in
      if let worker { state.leaves(worker) }
      if let body { state.leaves(body) }
    }
    signalEnd()
    wait(drained)
    withState { state in
      if let worker { state.goesOn(worker) }
      if let body { state.goesOn(body) }
    }
  }

  func waitingForEnd() async {
    if let body = PoolBody.current, body.pool == identity {
      withState { $0.leaves(body) }
      signalEnd()
      _ = await drained.resultIgnoringCancellation
      withState { $0.goesOn(body) }
    } else {
      _ = await over.resultIgnoringCancellation
    }
  }
}

/// An asynchronous body, known to the code that runs as a part of it.
final class PoolBody: @unchecked Sendable {
  @TaskLocal static var current: PoolBody?

  let pool: UInt
  /// Guarded by the pool's lock: how many calls of `shutdown` are waiting inside the body.
  var leaves = 0
  /// Guarded by the pool's lock: Tasks that the body has made may outlive it.
  var hasEnded = false

  init(pool: UInt) { self.pool = pool }
}

extension Future {
  /// The result, waited for to the end even if the waiting Task is cancelled: for clean-up.
  var resultIgnoringCancellation: Result<Success, any Error> {
    get async {
      if let result = resultIfDone { return result }
      return await withUnsafeContinuation { continuation in
        addDoneCallback { continuation.resume(returning: $0.resultIfDone!) }
      }
    }
  }
}
