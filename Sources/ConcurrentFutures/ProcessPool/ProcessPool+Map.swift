#if os(Linux) || os(macOS)
import CPlatformSupport
import Synchronization

extension ProcessPool {
  /// Transforms every element in the workers, and gives the results in the elements' order.
  ///
  /// The first error fails the future and cancels what has not started. Cancelling the future stops what runs and keeps what has not started from
  /// starting.
  ///
  /// - Parameters:
  ///   - arguments: the elements; read here, before the call returns.
  ///   - chunkSize: how many elements travel together; nil to measure: chunks grow until one takes about a millisecond.
  ///   - timeout: how long each element may run, counted from the start of its execution; nil for no limit. With a limit and
  ///     without a `chunkSize` every element travels alone. A chunk of a given size has its elements' time together.
  ///   - retries: how often a chunk is run again, from its first element, when its worker dies. One that throws is not run again.
  ///   - transform: must capture nothing.
  @inlinable
  public func map<A: Codable & Sendable, R: Codable & Sendable>(
    _ arguments: some Sequence<A>, chunkSize: Int? = nil, timeout: Duration? = nil, retries: Int = 0,
    _ transform: @escaping @Sendable (A) throws -> R
  ) -> Future<[R]> {
    // The caller's module knows the sequence, and makes an array of it much faster.
    mapArray(Array(arguments), chunkSize, timeout, retries, transform)
  }

  /// Runs a closure without a result over every element in the workers; done when all are. In all else as the one with results.
  @inlinable @discardableResult
  public func map<A: Codable & Sendable>(
    _ arguments: some Sequence<A>, chunkSize: Int? = nil, timeout: Duration? = nil, retries: Int = 0,
    _ transform: @escaping @Sendable (A) throws -> Void
  ) -> Future<Void> {
    mapArray(Array(arguments), chunkSize, timeout, retries, void: transform)
  }

  @usableFromInline
  func mapArray<A: Codable & Sendable, R: Codable & Sendable>(
    _ elements: [A], _ chunkSize: Int?, _ timeout: Duration?, _ retries: Int,
    _ transform: @escaping @Sendable (A) throws -> R
  ) -> Future<[R]> {
    mapArray(elements, chunkSize, timeout, retries) { () throws(TaskEncodingError) in
      try FunctionRegistry.closure1(transform, .chunk)
    }
  }

  @usableFromInline
  func mapArray<A: Codable & Sendable>(
    _ elements: [A], _ chunkSize: Int?, _ timeout: Duration?, _ retries: Int,
    void transform: @escaping @Sendable (A) throws -> Void
  ) -> Future<Void> {
    let results: Future<[Nothing]> = mapArray(elements, chunkSize, timeout, retries) { () throws(TaskEncodingError) in
      try FunctionRegistry.closure1(void: transform, .chunk)
    }
    return results.map { _ in () }
  }

  private func mapArray<A: Codable & Sendable, R: Codable & Sendable>(
    _ elements: [A], _ chunkSize: Int?, _ timeout: Duration?, _ retries: Int,
    _ function: () throws(TaskEncodingError) -> FunctionDefinition
  ) -> Future<[R]> {
    require(chunkSize.map { $0 > 0 } ?? true, "chunkSize must be greater than 0")
    require(retries >= 0, "retries must not be negative")
    let definition: FunctionDefinition
    do { definition = try function() } catch { return .failed(error) }
    let chunks = ChunkRule(size: chunkSize, timeout: timeout, retries: retries)
    return ChunkedMap<A, R>(elements, chunks, definition, core).start()
  }

  /// Transforms elements in the workers, and gives each one's outcome as it comes.
  ///
  /// Elements are taken from the sequence only as there is room for them, so that it may be endless. Short ones travel some together, as
  /// many as take a worker about a quarter of a millisecond; each has its own outcome, as soon as it has ended, and a fault is that
  /// of its element alone. So elements must not wait for each other.
  ///
  /// - Parameters:
  ///   - arguments: the elements; taken in the consumer's thread.
  ///   - maxInFlight: how many may be submitted and not yet taken out; by default 8 for each worker, and more where elements are short.
  ///   - ordered: results in the elements' order; otherwise as they are done.
  ///   - timeout: how long each element may run, counted from the start of its execution; then its result is a ``TimeoutError``.
  ///     nil for no limit.
  ///   - retries: how often an element is run again when its worker dies. One that throws is not run again.
  ///   - transform: must capture nothing.
  public func results<A: Codable & Sendable, R: Codable & Sendable>(
    of arguments: some Sequence<A> & Sendable, maxInFlight: Int? = nil, ordered: Bool = true,
    timeout: Duration? = nil, retries: Int = 0, _ transform: @escaping @Sendable (A) throws -> R
  ) -> ResultStream<R> {
    results(arguments, maxInFlight, ordered, timeout, retries, unpack: { (result: R) in result }) {
      () throws(TaskEncodingError) in try FunctionRegistry.closure1(transform, .each)
    }
  }

  /// Runs a closure without a result over elements in the workers, and tells of each when it is done. In all else as the one with results.
  public func results<A: Codable & Sendable>(
    of arguments: some Sequence<A> & Sendable, maxInFlight: Int? = nil, ordered: Bool = true,
    timeout: Duration? = nil, retries: Int = 0, _ transform: @escaping @Sendable (A) throws -> Void
  ) -> ResultStream<Void> {
    results(arguments, maxInFlight, ordered, timeout, retries, unpack: { (_: Nothing) in () }) {
      () throws(TaskEncodingError) in try FunctionRegistry.closure1(void: transform, .each)
    }
  }

  private func results<A: Codable & Sendable, Received: Codable & Sendable, R: Sendable>(
    _ arguments: some Sequence<A> & Sendable, _ maxInFlight: Int?, _ ordered: Bool, _ timeout: Duration?,
    _ retries: Int, unpack: @escaping @Sendable (Received) -> R,
    _ function: () throws(TaskEncodingError) -> FunctionDefinition
  ) -> ResultStream<R> {
    require(maxInFlight.map { $0 > 0 } ?? true, "maxInFlight must be greater than 0")
    require(retries >= 0, "retries must not be negative")
    let definition: FunctionDefinition
    do { definition = try function() } catch {
      return ResultStream(arguments, ordered: ordered, SingleResults(limit: maxInFlight ?? 1) { _ in .failed(error) })
    }
    return ResultStream(
      arguments, ordered: ordered, of: self,
      ElementFeed(
        definition, core, mostInFlight: maxInFlight, timeout: timeout, retries: retries, unpack: unpack))
  }
}

/// How a `map` cuts its elements, and what holds for each chunk.
private struct ChunkRule {
  /// Nil to measure.
  let size: Int?
  /// The size is the caller's.
  let isChosen: Bool
  /// Of one element.
  let timeout: Duration?
  let retries: Int

  init(size: Int?, timeout: Duration?, retries: Int) {
    // A limit is that of one element, which cannot be told from the others of its chunk.
    self.size = size ?? (timeout == nil ? nil : 1)
    isChosen = size != nil
    self.timeout = timeout
    self.retries = retries
  }

  /// An element that takes less than its time leaves the rest to the others of its chunk.
  func timeout(ofChunk count: Int) -> Duration? {
    timeout.map { timeout in
      let (product, overflow) = timeout.clampedNanoseconds.multipliedReportingOverflow(by: UInt64(count))
      return .nanoseconds(overflow ? .max : Int64(clamping: product))
    }
  }
}

/// A `map` under way: cuts chunks, keeps some under way, puts the results together.
private final class ChunkedMap<A: Codable & Sendable, R: Codable & Sendable>: FutureProducer, @unchecked Sendable {
  private struct State {
    var next = 0
    var chunkSize: Int
    var results: [[R]?] = []
    var inFlight: [Int: Future<[R]>] = [:]
    /// Chunks that are being submitted, and their number while they have no future.
    var submitting = 0
    var hasEnded = false
    var outer: Future<[R]>?
  }

  private let elements: [A]
  private let function: FunctionDefinition
  private let core: ProcessPoolCore
  private let rule: ChunkRule
  private let state: Mutex<State>
  /// A chunk should take about this long, in nanoseconds.
  private static var goodTime: Double { 1_000_000 }

  init(_ elements: [A], _ rule: ChunkRule, _ function: FunctionDefinition, _ core: ProcessPoolCore) {
    self.elements = elements
    self.function = function
    self.core = core
    self.rule = rule
    let first = max(1, elements.count / (core.maxWorkers * 64))
    state = Mutex(State(chunkSize: rule.size ?? min(first, 1000)))
    super.init()
  }

  func start() -> Future<[R]> {
    if elements.isEmpty { return .succeeded([]) }
    let outer = Future<[R]>(producer: self)
    state.withLock { $0.outer = outer }
    feed()
    return outer
  }

  override func futureWasCancelled() { end()?.complete(with: .failure(CancellationError())) }

  /// Stops everything; the outer future, the first time.
  private func end() -> Future<[R]>? {
    let (chunks, outer) = state.withLock { state in
      let ended = (Array(state.inFlight.values), state.outer)
      state.hasEnded = true
      state.inFlight = [:]
      state.outer = nil
      state.results = []
      return ended
    }
    for chunk in chunks { chunk.cancel() }
    return outer
  }

  private var fixedSize: Bool { rule.size != nil }
  /// Without a measure of what an element takes, little is sent ahead.
  private var limit: Int {
    if rule.isChosen { return .max }
    return (fixedSize ? 256 : 3) * core.maxWorkers
  }

  private func feed() {
    while let (number, range) = takeChunk() {
      let chunk = Array(elements[range])
      let payload: OutgoingPayload
      do { payload = try PayloadCoder.shared.encodePayload(chunk) } catch {
        end()?.complete(with: .failure(TaskEncodingError(.argument, describe(error), underlyingError: error)))
        return
      }
      let work = TypedProcessWork<[R], [R]>(
        function, payload, timeout: rule.timeout(ofChunk: range.count), pool: core
      ) { $0 }
      let future = work.makeFuture()
      let mayGoOn = state.withLock { state in
        state.submitting -= 1
        if !state.hasEnded { state.inFlight[number] = future }
        return !state.hasEnded
      }
      guard mayGoOn else { return }
      future.addDoneCallback { [self] future in
        chunkDone(number, count: range.count, future) { work.runTime }
      }
      core.submit(work, retries: rule.retries)
      // Cancelled meanwhile, when the pool did not know it yet.
      if future.isCancelled { core.cancelled(work) }
    }
  }

  private func takeChunk() -> (Int, Range<Int>)? {
    state.withLock { state in
      guard !state.hasEnded, state.next < elements.count, state.inFlight.count + state.submitting < limit else {
        return nil
      }
      var size = state.chunkSize
      // Towards the end smaller ones, so that all workers end at about the same time.
      if !fixedSize { size = max(1, min(size, (elements.count - state.next) / (2 * core.maxWorkers))) }
      let range = state.next..<min(state.next + size, elements.count)
      state.next = range.upperBound
      state.submitting += 1
      state.results.append(nil)
      return (state.results.count - 1, range)
    }
  }

  private func chunkDone(_ number: Int, count: Int, _ future: Future<[R]>, nanoseconds: () -> UInt32) {
    guard let result = future.resultIfDone else { return }
    switch result {
    case .failure(let error): end()?.complete(with: .failure(error))
    // More or fewer would stand in the places of other elements' results.
    case .success(let values) where values.count != count:
      let reason = "the worker's answer has \(values.count) results for \(count) elements"
      end()?.complete(with: .failure(TaskEncodingError(.result, reason)))
    case .success(let values):
      let whole: (Future<[R]>, [[R]?])? = state.withLock { state in
        guard !state.hasEnded else { return nil }
        state.inFlight[number] = nil
        state.results[number] = values
        if !fixedSize { adapt(&state, count: count, Double(nanoseconds())) }
        guard state.next == elements.count, state.inFlight.isEmpty, state.submitting == 0, let outer = state.outer
        else {
          return nil
        }
        state.hasEnded = true
        state.outer = nil
        let results = state.results
        state.results = []
        return (outer, results)
      }
      if let (outer, results) = whole {
        outer.complete(with: .success(joined(results.compactMap(\.self))))
      } else if !rule.isChosen {
        feed()
      }
    }
  }

  private func adapt(_ state: inout State, count: Int, _ nanoseconds: Double) {
    guard count == state.chunkSize else { return }
    let factor = min(4, max(0.25, Self.goodTime / max(nanoseconds, 1)))
    state.chunkSize = max(1, min(Int(Double(count) * factor), 1 << 20))
  }
}
#endif
