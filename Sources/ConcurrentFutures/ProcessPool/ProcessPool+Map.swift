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
  ///   - transform: must capture nothing.
  @inlinable
  public func map<A: Codable & Sendable, R: Codable & Sendable>(
    _ arguments: some Sequence<A>, chunkSize: Int? = nil, _ transform: @escaping @Sendable (A) throws -> R
  ) -> Future<[R]> {
    // The caller's module knows the sequence, and makes an array of it much faster.
    mapArray(Array(arguments), chunkSize: chunkSize, transform)
  }

  @usableFromInline
  func mapArray<A: Codable & Sendable, R: Codable & Sendable>(
    _ elements: [A], chunkSize: Int?, _ transform: @escaping @Sendable (A) throws -> R
  ) -> Future<[R]> {
    require(chunkSize.map { $0 > 0 } ?? true, "chunkSize must be greater than 0")
    let function: FunctionDefinition
    do { function = try FunctionRegistry.closure1(transform, .chunk) } catch { return .failed(error) }
    let map = ChunkedMap<A, R>(elements, chunkSize: chunkSize, function, core)
    return map.start()
  }

  /// Transforms elements in the workers, and gives each one's outcome as it comes.
  ///
  /// Elements are taken from the sequence only as there is room for them, so that it may be endless.
  ///
  /// - Parameters:
  ///   - arguments: the elements.
  ///   - maxInFlight: how many may be submitted and not yet taken out; by default 8 for each worker.
  ///   - ordered: results in the elements' order; otherwise as they are done.
  ///   - transform: must capture nothing.
  public func results<A: Codable & Sendable, R: Codable & Sendable>(
    of arguments: some Sequence<A> & Sendable, maxInFlight: Int? = nil, ordered: Bool = true,
    _ transform: @escaping @Sendable (A) throws -> R
  ) -> ResultStream<R> {
    ResultStream(arguments, maxInFlight: maxInFlight ?? 8 * core.maxWorkers, ordered: ordered) { [self] element in
      submit(element, transform)
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
  private let fixedSize: Bool
  private let state: Mutex<State>
  /// A chunk should take about this long, in nanoseconds.
  private static var goodTime: Double { 1_000_000 }

  init(_ elements: [A], chunkSize: Int?, _ function: FunctionDefinition, _ core: ProcessPoolCore) {
    self.elements = elements
    self.function = function
    self.core = core
    fixedSize = chunkSize != nil
    let first = max(1, elements.count / (core.maxWorkers * 64))
    state = Mutex(State(chunkSize: chunkSize ?? min(first, 1000)))
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

  /// Without a measure of what an element takes, little is sent ahead.
  private var limit: Int { fixedSize ? .max : 3 * core.maxWorkers }

  private func feed() {
    while let (number, range) = takeChunk() {
      let chunk = Array(elements[range])
      let message: EncodedMessage
      do { message = try PayloadCoder.shared.encode(chunk) } catch {
        end()?.complete(with: .failure(TaskEncodingError(.argument, describe(error), underlyingError: error)))
        return
      }
      let work = TypedProcessWork<[R], [R]>(function, message, timeout: nil, pool: core) { $0 }
      let future = work.makeFuture()
      let mayGoOn = state.withLock { state in
        state.submitting -= 1
        if !state.hasEnded { state.inFlight[number] = future }
        return !state.hasEnded
      }
      guard mayGoOn else { return }
      future.addDoneCallback { [self] future in
        chunkDone(number, count: range.count, future, nanoseconds: work.runTime)
      }
      core.submit(work, retries: 0)
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

  private func chunkDone(_ number: Int, count: Int, _ future: Future<[R]>, nanoseconds: UInt32) {
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
        if !fixedSize { adapt(&state, count: count, Double(nanoseconds)) }
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
        outer.complete(with: .success(joined(results)))
      } else if !fixedSize {
        feed()
      }
    }
  }

  private func joined(_ chunks: [[R]?]) -> [R] {
    var whole: [R] = []
    whole.reserveCapacity(elements.count)
    for case let chunk? in chunks { whole.append(contentsOf: chunk) }
    return whole
  }

  private func adapt(_ state: inout State, count: Int, _ nanoseconds: Double) {
    guard count == state.chunkSize else { return }
    let factor = min(4, max(0.25, Self.goodTime / max(nanoseconds, 1)))
    state.chunkSize = max(1, min(Int(Double(count) * factor), 1 << 20))
  }
}
#endif
