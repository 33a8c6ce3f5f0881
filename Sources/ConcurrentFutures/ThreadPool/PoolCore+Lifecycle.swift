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
    fail(withState { $0.startFailed(error) }, error)
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

  func workerEnded() { signalEnd() }

  private func breakDown(_ error: BrokenExecutorError) {
    let (entries, idle) = withState { $0.breakDown(error) }
    for worker in idle { worker.unpark() }
    fail(entries, error)
    signalEnd()
  }

  private func fail(_ entries: [QueueEntry], _ error: any Error) {
    for entry in entries {
      guard case .item(let item) = entry.content else { continue }
      item.takeRetainedValue().rejected(because: error)
    }
  }

  // MARK: shutdown

  /// Takes no more work. What is queued is still done, or cancelled if `cancelPending`.
  func beginShutdown(cancelPending: Bool) {
    if cancelPending { cancelsPending.store(true, ordering: .relaxed) }
    let (idle, pending, waiters) = withState { state in
      (
        state.beginDraining(), cancelPending ? state.queue.remove { $0.item != nil } : [],
        takeAllSpaceWaiters()
      )
    }
    for worker in idle { worker.unpark() }
    for waiter in waiters { waiter.complete(with: .success(())) }
    for entry in pending {
      guard case .item(let item) = entry.content else { continue }
      item.takeRetainedValue().cancelBeforeStart()
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
    if let worker = Worker.current, worker.core === self {
      withState { $0.worker(leaves: true) }
      signalEnd()
      wait(drained)
      withState { $0.worker(leaves: false) }
    } else {
      wait(over)
    }
  }

  func waitingForEnd() async {
    if PoolBody.current == identity {
      withState { $0.asyncBody(leaves: true) }
      signalEnd()
      _ = await drained.resultIgnoringCancellation
      withState { $0.asyncBody(leaves: false) }
    } else {
      _ = await over.resultIgnoringCancellation
    }
  }
}

/// Which pool the asynchronous body that runs now was submitted to.
enum PoolBody {
  @TaskLocal static var current: UInt = 0
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
