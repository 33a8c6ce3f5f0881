import Synchronization
import Testing

@testable import ConcurrentFutures

/// Completing by hand: which step each state allows, and that the first writer wins.
@Suite struct CompletionTests {
  /// A future in each state, named.
  private static func futures() -> [(FutureState, Future<Int>)] {
    let running = Future<Int>()
    #expect(throws: Never.self) { try #expect(running.setRunningOrNotifyCancel()) }
    let cancelled = Future<Int>()
    cancelled.cancel()
    return [(.pending, Future()), (.running, running), (.cancelled, cancelled), (.finished, .succeeded(1))]
  }

  @Test func statesAreTold() {
    for (state, future) in Self.futures() {
      #expect(future.state == state)
      #expect(future.isDone == (state == .cancelled || state == .finished))
      #expect(future.isRunning == (state == .running))
      #expect(future.isCancelled == (state == .cancelled))
      #expect((future.resultIfDone != nil) == future.isDone)
    }
  }

  @Test func setResultFinishesOnlyWhatIsNotDone() throws {
    for (state, future) in Self.futures() {
      if state == .pending || state == .running {
        try future.setResult(7)
        #expect(future.valueIfDone == 7)
      } else {
        let before = future.description
        let error = #expect(throws: InvalidStateError.self) { try future.setResult(7) }
        #expect(error?.state == state)
        #expect(future.description == before)
      }
    }
  }

  @Test func setErrorFinishesOnlyWhatIsNotDone() throws {
    for (state, future) in Self.futures() {
      if state == .pending || state == .running {
        try future.setError(TestError(3))
        #expect(throws: TestError(3)) { try future.resultIfDone?.get() }
      } else {
        let before = future.description
        let error = #expect(throws: InvalidStateError.self) { try future.setError(TestError()) }
        #expect(error?.state == state)
        #expect(future.description == before)
      }
    }
  }

  @Test func completeSaysWhetherItWon() {
    for (state, future) in Self.futures() {
      let wins = state == .pending || state == .running
      #expect(future.complete(with: .success(7)) == wins)
      #expect(!future.complete(with: .failure(TestError())))
    }
  }

  @Test func startingIsForPendingFuturesOnce() throws {
    for (state, future) in Self.futures() {
      switch state {
      case .pending:
        #expect(try future.setRunningOrNotifyCancel())
        #expect(future.isRunning)
      case .cancelled:
        #expect(try !future.setRunningOrNotifyCancel())
        #expect(try !future.setRunningOrNotifyCancel())
      case .running, .finished:
        let error = #expect(throws: InvalidStateError.self) { _ = try future.setRunningOrNotifyCancel() }
        #expect(error?.state == state)
        #expect(future.state == state)
      }
    }
  }

  @Test func cancelEndsPendingFuturesAndAsksRunningOnes() {
    for (state, future) in Self.futures() {
      #expect(future.cancel() == (state == .pending || state == .cancelled))
      #expect(future.cancel() == (state == .pending || state == .cancelled))
      #expect(future.state == (state == .pending ? .cancelled : state))
    }
  }

  @Test func cancelledFutureThrowsCancellationError() {
    let future = Future<Int>()
    future.cancel()
    #expect(throws: CancellationError.self) { try future.resultIfDone?.get() }
  }

  @Test func runningWorkThatWasAskedToStopMayStillFinish() throws {
    let future = Future<Int>()
    _ = try future.setRunningOrNotifyCancel()
    #expect(!future.cancel())
    #expect(future.description == "Future<Int>(running, asked to stop)")
    try future.setResult(1)
    #expect(future.valueIfDone == 1)
  }

  @Test func errorTextsNameTheStateAndTheRemedy() throws {
    let finished = Future.succeeded(1)
    let cancelled = Future<Int>()
    cancelled.cancel()
    let second = #expect(throws: InvalidStateError.self) { try finished.setResult(2) }
    #expect(second?.operation == "setResult")
    #expect(
      second?.description
        == "setResult on a future that is finished: the first result stays. "
        + "Use complete(with:), which returns false in this case, where several threads may complete one future.")
    let late = #expect(throws: InvalidStateError.self) { try cancelled.setError(TestError()) }
    #expect(late?.description.hasPrefix("setError on a future that is cancelled: ") == true)
    #expect(late?.description.contains("complete(with:)") == true)
    let start = #expect(throws: InvalidStateError.self) { _ = try finished.setRunningOrNotifyCancel() }
    #expect(start?.description.hasPrefix("setRunningOrNotifyCancel on a future that is finished: ") == true)
    // There is no result to speak of, and complete(with:) is no way to start anything.
    #expect(start?.description.contains("complete(with:)") == false)
  }

  @Test func otherErrorTextsNameTheRemedyToo() {
    #expect(
      ExecutorShutDownError(name: "pool").description
        == "pool was shut down and takes no more work. Submit before shutdown(), or make a new pool.")
    #expect(
      BrokenExecutorError(name: "pool", reason: "no thread").description
        == "pool is broken and runs nothing any more: no thread. Mend the cause and make a new pool.")
    #expect(
      TimeoutError(limit: .seconds(2), what: "the future").description == "the future did not end within 2.0 seconds")
    #expect(NoFuturesError().description.contains("at least one"))
  }

  @Test func firstWriterWinsAmongManyThreads() async throws {
    let threads = 8
    for round in 0..<stress(200) {
      let future = Future<Int>()
      let seen = Log<Int>()
      future.addDoneCallback { seen.append($0.valueIfDone ?? -1) }
      let wins = try await onThreads(threads) { index in
        if (index + round) % 4 == 3 { return future.complete(with: .failure(TestError(index))) }
        return future.complete(with: .success(index))
      }
      #expect(wins.count(where: { $0 }) == 1)
      let winner = wins.firstIndex(of: true)!
      switch future.resultIfDone! {
      case .success(let value): #expect(value == winner)
      case .failure(let error): #expect((error as? TestError)?.id == winner)
      }
      #expect(seen.count == 1)
    }
  }

  @Test func futuresAreEqualByIdentity() {
    let a = Future.succeeded(1)
    let b = Future.succeeded(1)
    #expect(a == a)
    #expect(a != b)
    #expect(Set([a, b, a]).count == 2)
    #expect([a: "a", b: "b"][a] == "a")
  }

  @Test func descriptionTellsEachState() throws {
    let future = Future<Int>()
    #expect(future.description == "Future<Int>(pending)")
    _ = try future.setRunningOrNotifyCancel()
    #expect(future.description == "Future<Int>(running)")
    try future.setResult(42)
    #expect("\(future)" == "Future<Int>(finished: 42)")
    #expect(Future<String>.failed(TestError(5)).description == "Future<String>(failed: TestError(id: 5))")
    let cancelled = Future<[Int]>()
    cancelled.cancel()
    #expect(cancelled.description == "Future<Array<Int>>(cancelled)")
  }
}
