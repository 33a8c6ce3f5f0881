#if os(Linux) || os(macOS)
import Synchronization

/// Elements of a stream of results that travel together. One worker runs them one after the other, and each has its own answer,
/// which comes as soon as it has ended.
///
/// What ends the worker costs the element that it was running, or none if it had not begun with any. The others travel again:
/// together, or each alone if the chunk could not be decoded.
final class ElementWork<A: Codable & Sendable, Received: Codable & Sendable, Output: Sendable>: ProcessWork,
  @unchecked Sendable
{
  typealias Feed = ElementFeed<A, Received, Output>

  private let elements: [A]
  private let futures: [Future<Output>]
  private let retries: Int
  private let feed: Feed
  private let group: ElementGroup
  // Written under the scheduler's lock by whoever drives, and read by whoever drives.
  @exclusivity(unchecked) private var isUnpacked = false
  @exclusivity(unchecked) private var answered = 0

  /// - Parameter retries: how often an element may be run again.
  init(
    _ elements: [A], _ futures: [Future<Output>], _ message: EncodedMessage, retries: Int, _ feed: Feed,
    _ group: ElementGroup
  ) {
    self.elements = elements
    self.futures = futures
    self.retries = retries
    self.feed = feed
    self.group = group
    super.init(feed.function, OutgoingPayload(message), timeout: feed.timeout, pool: feed.core)
  }

  override var isWanted: Bool { futures.contains { !$0.isDone } }

  override func hears(_ header: ChannelHeader) throws(ChannelViolation) {
    switch header.kind {
    case .unpacked where !isUnpacked: isUnpacked = true
    case .unpacked: throw ChannelViolation(what: "it began with the elements of a chunk twice")
    default:
      // What is out of turn is not counted: its element has had no answer.
      guard isUnpacked, answered + 1 + header.answersToCome == elements.count else {
        throw ChannelViolation(what: "it answered an element of a chunk out of turn")
      }
      answered += 1
    }
  }

  override func setRunning() -> Bool { true }

  /// A chunk that was refused as a whole is cut up, which encodes.
  override func hasCallbacks(_ answer: ChannelHeader) -> Bool {
    !isUnpacked || answer.kind == .handedBack || futures[index(of: answer)].acquired().hasObservers
  }

  private func index(of answer: ChannelHeader) -> Int { max(0, elements.count - 1 - answer.answersToCome) }

  override var mayFinishElsewhere: Bool { elements.count == 1 }

  override func finish(_ answer: ReceivedFrame) {
    let isLast = answer.header.answersToCome == 0
    if isLast { group.remove(self) }
    // An honest worker has answered one at least; so this comes to an end.
    if answer.header.kind == .handedBack, answered > 0 {
      feed.ended(answered, nanoseconds: answer.header.nanoseconds)
      cut(answered..<elements.count, by: feed.batchSize)
      return
    }
    let result = answer.result(as: Received.self).map(feed.unpack)
    if isLast, !isUnpacked, elements.count > 1 {
      // Some element cannot be decoded: only its own answer says which.
      cut(elements.indices, by: 1)
      return
    }
    futures[index(of: answer.header)].complete(with: result)
    guard isLast else { return }
    feed.ended(elements.count, nanoseconds: answer.header.nanoseconds)
    // An honest worker has answered the others before.
    if answered < elements.count - 1 {
      _ = fail(TaskEncodingError(.result, "the worker has answered \(answered + 1) of \(elements.count) elements"))
    }
  }

  override func fail(_ error: any Error) -> Bool {
    group.remove(self)
    if !(error is WorkerTerminatedError) {
      for future in futures { future.complete(with: .failure(error)) }
    } else if isUnpacked || elements.count == 1 {
      goOn(after: error)
    } else {
      cut(elements.indices, by: 1)
    }
    return true
  }

  override func cancelFuture() { for future in futures { future.cancel() } }

  /// The worker has ended while it ran the element after the last that it answered.
  private func goOn(after error: any Error) {
    let victim = min(answered, elements.count - 1)
    send(victim + 1..<elements.count, retries: retries)
    if retries > 0 {
      send(victim..<victim + 1, retries: retries - 1, attempts: attempts)
    } else {
      futures[victim].complete(with: .failure(error))
    }
  }

  private func cut(_ range: Range<Int>, by size: Int) {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: size).reversed() {
      send(start..<min(start + size, range.upperBound), retries: retries)
    }
  }

  /// Elements travel again, before others and before those that were sent again earlier: the last go first.
  private func send(_ range: Range<Int>, retries: Int, attempts: Int = 0) {
    // What has not begun is not wanted any more.
    if attempts == 0, feed.core.cancelsPending {
      for future in futures[range] { future.cancel() }
      return
    }
    let parts = zip(elements[range], futures[range]).filter { !$0.1.isDone }
    feed.send(parts.map(\.0), parts.map(\.1), group, retries: retries, attempts: attempts, wasAccepted: true)
  }
}

/// Who makes the values of some elements' futures: the chunks in which they are under way.
final class ElementGroup: FutureProducer, @unchecked Sendable {
  private let core: ProcessPoolCore
  private let chunks = Mutex<[ProcessWork]>([])

  init(_ core: ProcessPoolCore) {
    self.core = core
    super.init()
  }

  func add(_ work: ProcessWork) { chunks.withLock { $0.append(work) } }
  func remove(_ work: ProcessWork) { chunks.withLock { $0.removeAll { $0 === work } } }

  /// A chunk that nobody wants any more has no other end: the pool forgets it.
  ///
  /// That is found when the last of its futures to end is cancelled. It may not be one that ends by itself meanwhile, of which nobody
  /// hears here: so futures have to be cancelled in their order, in which a chunk's elements end.
  override func futureWasCancelled() {
    let unwanted = chunks.withLock { chunks in
      let unwanted = chunks.filter { !$0.isWanted }
      chunks.removeAll { work in unwanted.contains { $0 === work } }
      return unwanted
    }
    for work in unwanted { core.cancelled(work) }
  }

  override func help(_ future: _FutureCore) -> Bool {
    guard let work = chunks.withLock(\.first) else { return future.acquired().isDone }
    return core.help(work, future)
  }

  override func taskWillWait(for future: _FutureCore) -> Bool {
    core.helpFromTask(chunks.withLock(\.first), future)
  }

  override func taskHasWaited() { core.briefWaits.end() }
}

/// Cuts the elements of one stream into chunks, as many to a chunk as take about a quarter of a millisecond.
final class ElementFeed<A: Codable & Sendable, Received: Codable & Sendable, Output: Sendable>: ResultBatches,
  @unchecked Sendable
{
  let function: FunctionDefinition
  let timeout: Duration?
  let core: ProcessPoolCore
  let unpack: @Sendable (Received) -> Output
  private let retries: Int
  private let mostInFlight: Int?
  /// How many elements a chunk may have at most.
  private let largest: Int
  // Chunks end and are sent in several threads. Which of them has the last word on the size is of no account.
  private let size = Atomic(1)
  private let mostByBytes = Atomic(1)

  // The consumer's: the chunk that is being filled.
  @exclusivity(unchecked) private var elements: [A] = []
  @exclusivity(unchecked) private var futures: [Future<Output>] = []
  @exclusivity(unchecked) private var group: ElementGroup

  private static var goodTime: Double { 250_000 }
  /// A chunk of this many bytes is large enough.
  private static var goodBytes: Int { 256 * 1024 }

  init(
    _ function: FunctionDefinition, _ core: ProcessPoolCore, mostInFlight: Int?, timeout: Duration?, retries: Int,
    unpack: @escaping @Sendable (Received) -> Output
  ) {
    self.function = function
    self.core = core
    self.mostInFlight = mostInFlight
    self.timeout = timeout
    self.retries = retries
    self.unpack = unpack
    group = ElementGroup(core)
    // A time limit is that of one element, and a worker that is to end after some tasks ends after as many elements.
    let isAlone = timeout != nil || core.recycles
    largest = isAlone ? 1 : max(1, min(1024, (mostInFlight ?? .max) / (4 * core.maxWorkers)))
  }

  // MARK: what the stream asks

  var batchSize: Int { size.load(ordering: .relaxed) }
  var limit: Int { mostInFlight ?? max(8, 4 * batchSize) * core.maxWorkers }

  func submit(_ element: A) -> Future<Output> {
    let future = Future<Output>(producer: group, cancellableWhileRunning: true)
    elements.append(element)
    futures.append(future)
    if elements.count >= batchSize { flush() }
    return future
  }

  func flush() {
    if elements.isEmpty { return }
    send(elements, futures, group, retries: retries, attempts: 0, wasAccepted: false)
    elements.removeAll(keepingCapacity: true)
    futures.removeAll(keepingCapacity: true)
    group = ElementGroup(core)
  }

  // MARK: sending

  func send(
    _ elements: [A], _ futures: [Future<Output>], _ group: ElementGroup, retries: Int, attempts: Int, wasAccepted: Bool
  ) {
    if elements.isEmpty { return }
    let message: EncodedMessage
    do { message = try PayloadCoder.shared.encode(elements) } catch {
      if elements.count > 1 {
        // Only one of them, mostly.
        for (element, future) in zip(elements, futures) {
          send([element], [future], group, retries: retries, attempts: attempts, wasAccepted: wasAccepted)
        }
      } else {
        futures[0].complete(
          with: .failure(TaskEncodingError(.argument, describe(error), underlyingError: error)))
      }
      return
    }
    limitSize(elements.count, bytes: message.segments.reduce(message.byteCount) { $0 + $1.bytes.count })
    let work = ElementWork(elements, futures, message, retries: retries, self, group)
    work.attempts = attempts
    group.add(work)
    // What its worker's end leaves over is sent again by the chunk itself.
    core.submit(work, retries: 0, wasAccepted: wasAccepted)
    // Cancelled meanwhile, when the pool did not know it yet.
    if !work.isWanted {
      group.remove(work)
      core.cancelled(work)
    }
  }

  // MARK: the size

  /// A chunk of so many elements has so many bytes.
  private func limitSize(_ count: Int, bytes: Int) {
    let most = max(1, min(largest, count * Self.goodBytes / max(bytes, 1)))
    mostByBytes.store(most, ordering: .relaxed)
    if batchSize > most { size.store(most, ordering: .relaxed) }
  }

  /// A chunk has taken so long.
  func ended(_ count: Int, nanoseconds: UInt32) {
    let old = batchSize
    let isTooLarge = Double(nanoseconds) > Self.goodTime
    guard count >= old || isTooLarge else { return }
    let factor = min(4, max(0.25, Self.goodTime / max(Double(nanoseconds), 1)))
    size.store(max(1, min(Int(Double(count) * factor), mostByBytes.load(ordering: .relaxed))), ordering: .relaxed)
  }
}
#endif
