import Synchronization
import Testing

@testable import ConcurrentFutures

/// What futures hold is let go of as soon as nobody needs it; nothing leaks.
@Suite struct ReleaseTests {
  @Test func callbackCapturesGoAfterDelivery() {
    let live = LiveCount()
    let future = Future<Int>()
    var tokens: [DoneCallbackToken] = []
    for _ in 0..<4 {
      let probe = live.probe()
      tokens.append(future.addDoneCallback { _ in probe.touch() })
    }
    #expect(live.count == 4)
    future.complete(with: .success(1))
    // Neither the future nor the tokens keep them.
    #expect(live.count == 0)
    #expect(tokens.count == 4)
    withExtendedLifetime(future) {}
  }

  @Test func capturesOfEachCallbackGoBeforeTheNextRuns() {
    let live = LiveCount()
    let future = Future<Int>()
    let counts = Log<Int>()
    for _ in 0..<4 {
      let probe = live.probe()
      future.addDoneCallback { _ in
        counts.append(live.count)
        probe.touch()
      }
    }
    future.complete(with: .success(1))
    #expect(counts.entries == [4, 3, 2, 1])
  }

  @Test func callbackCapturesGoWithRemoval() {
    let live = LiveCount()
    let future = Future<Int>()
    let tokens = (0..<4).map { _ in
      let probe = live.probe()
      return future.addDoneCallback { _ in probe.touch() }
    }
    for (index, token) in tokens.enumerated() {
      future.removeDoneCallback(token)
      #expect(live.count == 3 - index)
    }
    #expect(tokens.count == 4)
  }

  @Test func callbackCapturesGoWithCancellation() {
    let live = LiveCount()
    let future = Future<Int>()
    for _ in 0..<4 {
      let probe = live.probe()
      future.addDoneCallback { _ in probe.touch() }
    }
    future.cancel()
    #expect(live.count == 0)
  }

  @Test func callbackCapturesGoWithAPendingFuture() {
    let live = LiveCount()
    do {
      let future = Future<Int>()
      for _ in 0..<4 {
        let probe = live.probe()
        future.addDoneCallback { _ in probe.touch() }
      }
    }
    #expect(live.count == 0)
  }

  @Test func callbackOfADoneFutureIsNotKept() {
    let live = LiveCount()
    let future = Future.succeeded(1)
    do {
      let probe = live.probe()
      future.addDoneCallback { _ in probe.touch() }
    }
    #expect(live.count == 0)
    withExtendedLifetime(future) {}
  }

  @Test func bodyGoesWhenItHasRun() {
    let live = LiveCount()
    let future = futureWithBody(live) { $0.touch() }
    #expect(live.count == 1)
    future.addDoneCallback { _ in #expect(live.count == 0) }
    future.runBody()
    #expect(live.count == 0)
    #expect(future.state == .finished)
    future.runBody()
  }

  @Test func bodyGoesWithCancellation() {
    let live = LiveCount()
    let future = futureWithBody(live) { $0.touch() }
    future.cancel()
    #expect(live.count == 0)
    future.runBody()
    #expect(future.isCancelled)
  }

  @Test func bodyGoesWhenAnotherResultComesFirst() {
    let live = LiveCount()
    let future = futureWithBody(live) { $0.touch() }
    #expect(future.complete(with: .success(())))
    #expect(live.count == 0)
    future.runBody()
    let other = futureWithBody(live) { $0.touch() }
    #expect(throws: Never.self) { try other.setResult(()) }
    #expect(live.count == 0)
  }

  @Test func bodyGoesWithItsFuture() {
    let live = LiveCount()
    do { _ = futureWithBody(live) { $0.touch() } }
    #expect(live.count == 0)
  }

  @Test func bodyOfAPoolCannotBeStartedByAnother() {
    let live = LiveCount()
    let future = futureWithBody(live) { $0.touch() }
    #expect(throws: InvalidStateError.self) { _ = try future.setRunningOrNotifyCancel() }
    future.runBody()
    #expect(future.state == .finished)
    #expect(live.count == 0)
  }

  private func futureWithBody(
    _ live: LiveCount, _ body: @escaping @Sendable (LeakProbe) throws -> Void
  ) -> Future<Void> {
    let probe = live.probe()
    return Future(body: { try body(probe) })
  }

  private final class Producer: FutureProducer, @unchecked Sendable {
    let probe: LeakProbe
    let events: Log<String>
    init(_ live: LiveCount, _ events: Log<String>) {
      probe = live.probe()
      self.events = events
    }
    override func futureWasCancelled() { events.append("cancelled") }
    override func cancellationWasRequested() { events.append("requested") }
  }

  @Test func producerGoesHoweverItsFutureEnds() {
    let live = LiveCount()
    let events = Log<String>()
    let finished = Future<Int>(producer: Producer(live, events))
    finished.complete(with: .success(1))
    #expect(live.count == 0)
    let set = Future<Int>(producer: Producer(live, events))
    #expect(throws: Never.self) { try set.setResult(1) }
    #expect(live.count == 0)
    let failed = Future<Int>(producer: Producer(live, events))
    failed.complete(with: .failure(TestError()))
    #expect(live.count == 0)
    #expect(events.count == 0)
    let cancelled = Future<Int>(producer: Producer(live, events))
    cancelled.addDoneCallback { _ in events.append("callback") }
    cancelled.cancel()
    #expect(live.count == 0)
    #expect(events.entries == ["cancelled", "callback"])
    do { _ = Future<Int>(producer: Producer(live, events)) }
    #expect(live.count == 0)
  }

  @Test func producerOfRunningWorkHearsOfTheRequestOnce() throws {
    let live = LiveCount()
    let events = Log<String>()
    let future = Future<Int>(producer: Producer(live, events))
    _ = try future.setRunningOrNotifyCancel()
    #expect(!future.cancel())
    #expect(!future.cancel())
    #expect(events.entries == ["requested"])
    #expect(live.count == 1)
    try future.setResult(1)
    #expect(live.count == 0)
    let stoppable = Future<Int>(producer: Producer(live, events), cancellableWhileRunning: true)
    _ = try stoppable.setRunningOrNotifyCancel()
    #expect(stoppable.cancel())
    #expect(stoppable.isCancelled)
    #expect(events.entries == ["requested", "cancelled"])
    #expect(live.count == 0)
  }

  @Test func resultsThatComeTooLateAreNotKept() {
    let live = LiveCount()
    let future = Future<LeakProbe>()
    future.cancel()
    future.complete(with: .success(live.probe()))
    future.complete(with: .failure(live.probe()))
    #expect(live.count == 0)
  }

  @Test func errorsGoWithTheirFuture() {
    let live = LiveCount()
    do {
      let future = Future<Int>.failed(live.probe())
      #expect(live.count == 1)
      #expect(throws: LeakProbe.self) { try future.resultIfDone?.get() }
    }
    #expect(live.count == 0)
  }

  @Test func mapsLetGoOfTheirSourceAndTransform() throws {
    let live = LiveCount()
    let source = Future<LeakProbe>()
    let mapped: Future<Int>
    do {
      let probe = live.probe()
      mapped = source.map { _ in
        probe.touch()
        return 1
      }
    }
    #expect(live.count == 1)
    source.complete(with: .success(live.probe()))
    #expect(live.count == 1)  // the source's own value
    #expect(mapped.valueIfDone == 1)
    withExtendedLifetime(source) {}
  }

  @Test func shieldThatIsCancelledLeavesNothingBehind() {
    let live = LiveCount()
    let source = Future<Int>()
    for _ in 0..<4 {
      let probe = live.probe()
      let shield = source.shielded()
      shield.addDoneCallback { _ in probe.touch() }
      shield.cancel()
    }
    #expect(live.count == 0)
    #expect(!source.hasRegistrations)
  }

  @Test func shieldedTimeoutsDoNotPileUp() async throws {
    let source = Future<Int>()
    for _ in 0..<4 { _ = await source.shielded().timeout(after: .milliseconds(1)).result }
    await eventually { !source.hasRegistrations }
  }

  /// The long-lived future's slot is empty, or taken by another.
  @Test(arguments: [true, false]) func gatherThatIsOverLeavesNothingBehind(slotIsTaken: Bool) async {
    let long = Future<Int>()
    let token = slotIsTaken ? long.addDoneCallback { _ in } : nil
    for _ in 0..<3 {
      _ = gather([long, .failed(TestError()), long])
      _ = gather([.failed(TestError()), long])
      let other = Future<Int>()
      let all = gather([long, other, long])
      let pack = gather(long, other)
      other.complete(with: .failure(TestError()))
      #expect(all.isDone && pack.isDone)
      let shield = long.shielded()
      gather([shield, Future<Int>()]).cancel()
    }
    if let token { long.removeDoneCallback(token) }
    #expect(!long.hasRegistrations)
  }

  @Test func derivedFutureDoesNotKeepAPromiseThatNobodyHolds() {
    let live = LiveCount()
    let derived: Future<Int>
    do {
      let source = Future<Int>()
      let probe = live.probe()
      derived = source.map {
        probe.touch()
        return $0
      }
    }
    #expect(live.count == 0)
    #expect(derived.state == .pending)
  }

  /// Whose release comes back to the future: under its lock this would hang.
  private final class Touchy: Error, @unchecked Sendable {
    weak var future: Future<Int>?
    init(_ future: Future<Int>?) { self.future = future }
    deinit { future?.addDoneCallback { _ in } }
    @inline(never) func touch() {}
    static func body() -> Future<Int> {
      let touchy = Touchy(nil)
      let future = Future<Int>(body: {
        touchy.touch()
        return 1
      })
      touchy.future = future
      return future
    }
  }
  private final class TouchyValue: @unchecked Sendable {
    weak var future: Future<TouchyValue>?
    init() {}
    deinit { future?.addDoneCallback { _ in } }
  }
  @Test func valuesAreNotReleasedUnderTheLock() async throws {
    _ = try await onThread {
      // A body's result that comes too late.
      let holder = Mutex<Future<TouchyValue>?>(nil)
      let late = Future<TouchyValue>(body: {
        let value = TouchyValue()
        value.future = holder.withLock { $0 }
        _ = holder.withLock { $0 }?.complete(with: .failure(TestError()))
        return value
      })
      holder.withLock { $0 = late }
      late.runBody()
      holder.withLock { $0 = nil }
      // Captures of bodies and callbacks.
      for way in 0..<5 {
        let future = Future<Int>()
        let touchy = Touchy(future)
        let token = future.addDoneCallback { _ in touchy.touch() }
        let second = future.addDoneCallback { _ in touchy.touch() }
        switch way {
        case 0: future.cancel()
        case 1: future.complete(with: .success(1))
        case 2: _ = future.removeDoneCallback(token)
        case 3: _ = future.removeDoneCallback(second)
        default: future.complete(with: .failure(Touchy(future)))
        }
        future.cancel()
      }
      for way in 0..<3 {
        let future = Touchy.body()
        switch way {
        case 0: future.cancel()
        case 1: future.complete(with: .success(1))
        default: try? future.setResult(1)
        }
      }
    }
  }
}
