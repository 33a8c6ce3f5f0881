import CPlatformSupport
import Synchronization

/// Results of many elements, as they come: a sequence for `for` and for `for await`.
///
/// It can be gone through once, by one consumer. When the loop is left early, what is under way is cancelled, and the stream
/// has nothing more to give. In a `for await` the iteration ends early when the Task is cancelled.
public struct ResultStream<R: Sendable>: Sequence, AsyncSequence, Sendable {
  /// What became of one element.
  public typealias Element = Result<R, any Error>

  private let pump: ResultPump<R>

  /// - Parameter pool: kept while the stream is.
  init<E: Sendable, Batches: ResultBatches>(
    _ elements: some Sequence<E> & Sendable, ordered: Bool, of pool: (any AnyObject & Sendable)? = nil,
    _ batches: Batches
  ) where Batches.Input == E, Batches.Output == R {
    let source = ElementSource(elements)
    pump = ResultPump(batches, ordered: ordered) {
      withExtendedLifetime(pool) { source.next().map(batches.submit) }
    }
  }

  /// - Parameter submit: starts the work for one element. Called in the consumer's thread.
  init<E: Sendable>(
    _ elements: some Sequence<E> & Sendable, maxInFlight: Int, ordered: Bool,
    _ submit: @escaping @Sendable (E) -> Future<R>
  ) {
    require(maxInFlight > 0, "maxInFlight must be greater than 0, not \(maxInFlight)")
    self.init(elements, ordered: ordered, SingleResults(limit: maxInFlight, submit))
  }

  /// An iterator that blocks for each result.
  @available(*, noasync, message: "a plain `for` blocks its thread; write `for await`")
  public func makeIterator() -> Iterator { Iterator(loop: ResultLoop(pump)) }

  /// An iterator that suspends for each result.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(loop: ResultLoop(pump)) }

  /// Blocks for each result.
  public struct Iterator: IteratorProtocol {
    fileprivate let loop: ResultLoop<R>

    /// The next result, or nil after the last. Blocks this thread.
    @available(*, noasync, message: "this blocks its thread; write `for await`")
    public mutating func next() -> Result<R, any Error>? { loop.pump.next() }
  }

  /// Suspends for each result.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let loop: ResultLoop<R>

    /// The next result; nil after the last, or when the Task is cancelled.
    public nonisolated(nonsending) mutating func next() async -> Result<R, any Error>? { await loop.pump.next() }

    /// The same, for any isolation.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> Result<R, any Error>? {
      await loop.pump.next()
    }
  }
}

/// Starts the work for elements, in the consumer's thread; some at a time, if that is better.
protocol ResultBatches<Input, Output>: Sendable {
  associatedtype Input
  associatedtype Output: Sendable
  /// How many elements may be submitted and not handed out.
  var limit: Int { get }
  /// How many are submitted together.
  var batchSize: Int { get }
  /// The future of an element, whose work has begun at the latest when `flush` is called.
  func submit(_ element: Input) -> Future<Output>
  func flush()
}

/// Each element by itself.
struct SingleResults<Input, Output: Sendable>: ResultBatches {
  let limit: Int
  private let start: @Sendable (Input) -> Future<Output>

  init(limit: Int, _ start: @escaping @Sendable (Input) -> Future<Output>) {
    self.limit = limit
    self.start = start
  }

  var batchSize: Int { 1 }
  func submit(_ element: Input) -> Future<Output> { start(element) }
  func flush() {}
}

/// One loop: when its iterator is gone, nobody will come for the rest.
private final class ResultLoop<R: Sendable>: Sendable {
  let pump: ResultPump<R>
  init(_ pump: ResultPump<R>) { self.pump = pump }
  deinit { pump.cancel() }
}

/// The elements, taken one at a time by whoever asks.
private final class ElementSource<E>: @unchecked Sendable {
  // Only the pump's one consumer comes here, and the pump keeps others out.
  private var take: () -> E?

  init(_ elements: some Sequence<E>) {
    var iterator = elements.makeIterator()
    take = { iterator.next() }
  }

  func next() -> E? { take() }
}

/// Keeps so many elements under way, and hands out their results.
private final class ResultPump<R: Sendable>: Sendable {
  /// Futures on their way, in an order that depends on the kind of stream.
  private struct State {
    /// In the order of the elements; for an unordered stream only what is done, in that order.
    var ready = CompactingQueue<Future<R>>()
    /// Unordered: what is not done, and when it was submitted.
    var pending: [Future<R>: Int] = [:]
    var submissions = 0
    var signal: Future<Void>?
    var sourceHasEnded = false
    var isInUse = false

    var inFlight: Int { ready.count + pending.count }
  }

  private let batches: any ResultBatches
  private let ordered: Bool
  private let submitNext: @Sendable () -> Future<R>?
  private let state = Mutex(State())

  init(_ batches: some ResultBatches, ordered: Bool, submitNext: @escaping @Sendable () -> Future<R>?) {
    self.batches = batches
    self.ordered = ordered
    self.submitNext = submitNext
  }

  /// Gives up what has not been handed out, in the order in which it was submitted: what travels together ends in that order, and
  /// is given up with the last of it (``ElementGroup``).
  func cancel() {
    let (ready, pending) = state.withLock { state in
      defer { state.pending = [:] }
      state.sourceHasEnded = true
      return (state.ready.removeAll(), state.pending)
    }
    for future in ready { future.cancel() }
    for (future, _) in pending.sorted(by: { $0.value < $1.value }) { future.cancel() }
  }

  /// What to wait for next; nil at the end.
  private enum Step {
    case yield(Future<R>)
    case wait(Future<Void>)
    case end
  }

  func next() -> Result<R, any Error>? {
    begin()
    defer { end() }
    while true {
      fill()
      switch step() {
      case .end: return nil
      case .yield(let future):
        _ = future.waitUntilDone(deadline: nil)
        return future.resultIfDone
      case .wait(let signal): _ = signal.waitUntilDone(deadline: nil)
      }
    }
  }

  nonisolated(nonsending) func next() async -> Result<R, any Error>? {
    begin()
    defer { end() }
    while true {
      if mayFill { await fillElsewhere() }
      switch step() {
      case .end: return nil
      case .yield(let future):
        if !future.isDone {
          do { try await TaskWaiter.wait(for: future, deadline: nil) } catch {
            future.cancel()
            return nil
          }
        }
        return future.resultIfDone
      case .wait(let signal):
        do { try await TaskWaiter.wait(for: signal, deadline: nil) } catch { return nil }
      }
    }
  }

  private func begin() {
    let wasInUse = state.withLock { state in
      defer { state.isInUse = true }
      return state.isInUse
    }
    require(!wasInUse, "a ResultStream has one consumer: next() was called while another call was waiting")
  }

  private func end() { state.withLock { $0.isInUse = false } }

  private func step() -> Step {
    state.withLock { state in
      if let future = state.ready.popFirst() { return .yield(future) }
      if state.pending.isEmpty { return .end }
      let signal = state.signal ?? Future<Void>()
      state.signal = signal
      return .wait(signal)
    }
  }

  /// Not before there is room for a whole batch. The size may change meanwhile; with nothing under way there is room.
  private var mayFill: Bool {
    let room = max(0, batches.limit - batches.batchSize)
    return state.withLock { !$0.sourceHasEnded && $0.inFlight <= room }
  }

  /// Off the caller's actor: how long elements take to come, and to be encoded, is not for the main thread to wait.
  @concurrent private func fillElsewhere() async { fill() }

  /// Submits elements up to the limit. The elements and their submission are foreign code: no lock is held.
  ///
  /// At least one whenever there is room, so that the workers are kept busy. Where elements come slowly, what is ready does not wait for
  /// more of them.
  private func fill() {
    if !mayFill { return }
    defer { batches.flush() }
    let begin = cf_now()
    var lastFlush = begin
    while state.withLock({ !$0.sourceHasEnded && $0.inFlight < batches.limit }) {
      guard let future = submitNext() else {
        state.withLock { $0.sourceHasEnded = true }
        return
      }
      if ordered {
        state.withLock { $0.ready.append(future) }
      } else {
        state.withLock { state in
          state.pending[future] = state.submissions
          state.submissions += 1
        }
        future.addDoneCallback { [weak self] future in self?.isDone(future) }
      }
      let now = cf_now()
      // None waits long for others that come slowly.
      if now &- lastFlush > 100_000 {
        batches.flush()
        lastFlush = now
      }
      if now &- begin > 50_000, state.withLock({ $0.ready.first?.isDone ?? false }) { return }
    }
  }

  private func isDone(_ future: Future<R>) {
    let signal = state.withLock { state in
      // Not if the loop was left meanwhile.
      if state.pending.removeValue(forKey: future) != nil { state.ready.append(future) }
      return state.signal.take()
    }
    signal?.complete(with: .success(()))
  }
}
