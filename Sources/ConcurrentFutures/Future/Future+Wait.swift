import CPlatformSupport

extension Future {
  /// Blocks this thread until the future is done, and gives its value.
  ///
  /// For synchronous code; asynchronous code reads ``value``. Inside a worker of a ``ThreadPool`` it never deadlocks: work
  /// that has not started runs right here, and while the thread sleeps the pool may use a spare one in its place.
  ///
  /// - Parameter timeout: how long to wait, counted from the call; nil waits without limit, zero only looks.
  /// - Throws: the future's error; `CancellationError` if it was cancelled; ``TimeoutError``, which changes nothing about
  ///   the future and its other waiters.
  @available(*, noasync, message: "wait() blocks its thread; in asynchronous code read `value`", renamed: "value")
  @inlinable
  public func wait(timeout: Duration? = nil) throws -> Success {
    if let timeout {
      require(timeout >= .zero, "timeout must not be negative")
    }
    var state = acquired()
    if !state.isDone {
      guard waitUntilDone(timeout: timeout) else {
        throw TimeoutError(limit: timeout ?? .zero, what: "the future")
      }
      state = acquired()
    }
    if state.hasValue { return storedValue }
    throw failure(in: state)
  }
}

extension _FutureCore {
  /// Blocks until the future is done; false when the time ran out first.
  @usableFromInline @inline(never)
  final func waitUntilDone(timeout: Duration?) -> Bool {
    waitUntilDone(deadline: timeout.map(Deadline.init(after:)))
  }

  final func waitUntilDone(deadline: Deadline?) -> Bool {
    // Work that runs inside the wait could not be left at a deadline.
    if deadline == nil, let host = cf_thread().pointee.worker {
      // Not retained: it runs this thread.
      Unmanaged<BlockingHost>.fromOpaque(host)._withUnsafeGuaranteedRef { $0.runInline(self) }
      if acquired().isDone { return true }
    }
    return waitWithoutWorking(deadline)
  }

  @inline(never)
  private final func waitWithoutWorking(_ deadline: Deadline?) -> Bool {
    let host = cf_thread().pointee.worker.map { Unmanaged<BlockingHost>.fromOpaque($0).takeUnretainedValue() }
    if let deadline, deadline.remaining == 0 { return acquired().isDone }
    if deadline == nil { deliverWhatWasPutOff() } else { haveDeliveredWhatWasPutOff() }
    // Who waits for another process may read its answer itself, which spares waking a thread for that. It decodes the answer
    // then, which may take any time.
    if deadline == nil, acquired().hasProducer, let producer = producerCore(), producer.help(self) { return true }
    if Spinning.until({ self.acquired().isDone }) { return true }
    if host == nil { FutureDiagnostics.noteBlockingWait() }
    if let host, deadline == nil, !host.isShortOfStack {
      host.sleep(untilDone: self)
      return true
    }
    host?.willBlock()
    defer { host?.didUnblock() }
    return park(until: deadline)
  }

  /// Sleeps until the future is done; false at the deadline.
  final func park(until deadline: Deadline?) -> Bool {
    let parker = ThreadParker()
    let waiter = ThreadWaiter(parker)
    let added = addObserverCore(waiter, index: 0)
    if case .alreadyDone = added { return true }
    if parker.park(until: deadline) { return true }
    if removeObserver(waiter, index: 0, added) { return false }
    // It is done after all: the wake-up is on its way, and points into this thread's memory.
    _ = parker.park(until: nil)
    return true
  }
}

/// The place where the current thread sleeps. One wake-up is remembered.
struct ThreadParker: @unchecked Sendable {
  private let word: UnsafeMutablePointer<UInt32>

  /// Prepares the calling thread's own parker. Only this thread may park on it.
  init() {
    word = UnsafeMutableRawPointer(cf_thread()).advanced(by: MemoryLayout<cf_thread_state>.offset(of: \.parker)!)
      .assumingMemoryBound(to: UInt32.self)
    cf_store_release(word, 0)
  }

  /// Sleeps until `unpark` or the deadline; false at the deadline.
  func park(until deadline: Deadline?) -> Bool {
    while cf_load_acquire(word) == 0 {
      var remaining: Int64 = -1
      if let deadline {
        remaining = deadline.remaining
        if remaining == 0 { return cf_load_acquire(word) != 0 }
      }
      cf_wait(word, 0, remaining)
    }
    return true
  }

  /// Wakes the thread, now or when it parks. The thread may be gone as soon as the word is written: the wake-up takes the
  /// address as a mere key.
  func unpark() {
    cf_store_release(word, 1)
    cf_wake(word, false)
  }
}

/// A thread that sleeps until a future is done.
final class ThreadWaiter: FutureObserver, @unchecked Sendable {
  private let parker: ThreadParker
  init(_ parker: ThreadParker) { self.parker = parker }
  override var onlyWakes: Bool { true }
  override func futureDone(_ future: FutureCore, index: Int) { parker.unpark() }
}
