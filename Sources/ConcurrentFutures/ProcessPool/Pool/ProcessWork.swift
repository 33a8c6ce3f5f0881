#if os(Linux) || os(macOS)
/// One submitted task on the parent's side: its encoded argument, which is kept until the answer comes, and its future or futures.
class ProcessWork: FutureProducer, @unchecked Sendable {
  let function: FunctionDefinition
  private let short: ShortPayload
  private let message: EncodedMessage?
  /// In nanoseconds; counted from the start of its execution.
  let timeout: UInt64?
  let pool: ProcessPoolCore
  // Written under the scheduler's lock, but for the time.
  @exclusivity(unchecked) var id = TaskID(index: .max, generation: .max)
  @exclusivity(unchecked) var attempts = 0
  /// How long it ran, in nanoseconds. For who knows that it has returned a result.
  @exclusivity(unchecked) var runTime: UInt32 = 0

  init(_ function: FunctionDefinition, _ payload: OutgoingPayload?, timeout: Duration?, pool: ProcessPoolCore) {
    self.function = function
    switch payload {
    case nil: (short, message) = (ShortPayload(), nil)
    case .short(let payload): (short, message) = (payload, nil)
    case .message(let payload): (short, message) = (ShortPayload(), payload)
    }
    self.timeout = timeout?.clampedNanoseconds
    self.pool = pool
  }

  func frame(_ header: ChannelHeader) -> OutgoingFrame {
    if let message { return OutgoingFrame(header, message: message) }
    return OutgoingFrame(header, short: short)
  }

  override func futureWasCancelled() { pool.cancelled(self) }

  /// The worker says that it has started. False: the future is cancelled.
  func setRunning() -> Bool { preconditionFailure("abstract") }
  override func help(_ future: _FutureCore) -> Bool { pool.help(self, future) }
  override func taskWillWait(for future: _FutureCore) -> Bool { pool.helpFromTask(self, future) }
  override func taskHasWaited() { pool.briefWaits.end() }
  /// A frame about the running task that may come more than once, or not for every task. Under the scheduler's lock.
  func hears(_ header: ChannelHeader) throws(ChannelViolation) {
    if header.kind == .unpacked || header.answersToCome > 0 {
      throw ChannelViolation(what: "it answered a task in parts that has none")
    }
  }
  /// Whether to take this answer runs code of the user, apart from decoding.
  func hasCallbacks(_ answer: ChannelHeader) -> Bool { preconditionFailure("abstract") }
  func finish(_ answer: ReceivedFrame) { preconditionFailure("abstract") }
  /// The same for a thread that must not run callbacks; whether ``deliver()`` has to follow elsewhere.
  func finishQuietly(_ answer: ReceivedFrame) -> Bool {
    finish(answer)
    return false
  }
  func deliver() {}
  /// Whether another thread than the one that drives may do that: there is one answer only, and nothing else to do with it.
  var mayFinishElsewhere: Bool { true }
  @discardableResult func fail(_ error: any Error) -> Bool { preconditionFailure("abstract") }
  func cancelFuture() { preconditionFailure("abstract") }
  /// Whether anybody waits for it.
  var isWanted: Bool { true }
}

/// `Received` is what travels, `Output` what the future has: they differ for closures without a result.
final class TypedProcessWork<Received: Decodable & Sendable, Output: Sendable>: ProcessWork, @unchecked Sendable {
  /// Kept while the future is not done: the future may have no other owner.
  @exclusivity(unchecked) private var future: Future<Output>?
  private let unpack: @Sendable (Received) -> Output

  init(
    _ function: FunctionDefinition, _ payload: OutgoingPayload?, timeout: Duration?, pool: ProcessPoolCore,
    unpack: @escaping @Sendable (Received) -> Output
  ) {
    self.unpack = unpack
    super.init(function, payload, timeout: timeout, pool: pool)
  }

  func makeFuture() -> Future<Output> {
    let made = Future<Output>(producer: self, cancellableWhileRunning: true)
    future = made
    return made
  }

  override func hasCallbacks(_ answer: ChannelHeader) -> Bool { future?.acquired().hasObservers ?? false }
  override func setRunning() -> Bool { (try? future?.setRunningOrNotifyCancel()) ?? true }

  override func finish(_ answer: ReceivedFrame) {
    if finishQuietly(answer) { deliver() }
  }
  override func finishQuietly(_ answer: ReceivedFrame) -> Bool {
    runTime = answer.header.nanoseconds
    guard let future else { return false }
    var mustDeliver = false
    do { mustDeliver = future.completeLeavingDelivery(returning: unpack(try answer.value(as: Received.self))) } catch {
      mustDeliver = future.completeLeavingDelivery(throwing: error)
    }
    if !mustDeliver { self.future = nil }
    return mustDeliver
  }
  override func deliver() {
    future?.deliver()
    future = nil
  }
  override func fail(_ error: any Error) -> Bool { end(.failure(error)) }
  override func cancelFuture() { future?.cancel() }

  @discardableResult
  private func end(_ result: Result<Output, any Error>) -> Bool {
    let completed = future?.complete(with: result) ?? false
    future = nil
    return completed
  }
}
#endif
