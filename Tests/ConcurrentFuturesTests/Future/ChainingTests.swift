import Testing

@testable import ConcurrentFutures

/// Futures made of other futures: values and errors go down, cancellation goes both ways.
@Suite struct ChainingTests {
  // MARK: map

  @Test func mapTransformsTheValueInTheCompletingThread() async throws {
    let source = Future<Int>()
    let threads = Log<UInt>()
    let mapped = source.map { value in
      threads.append(currentThread())
      return "\(value)"
    }
    #expect(mapped.state == .pending)
    let completing = try await onThread {
      source.complete(with: .success(3))
      return currentThread()
    }
    #expect(mapped.valueIfDone == "3")
    #expect(threads.entries == [completing])
    #expect(Future.succeeded(1).map { $0 + 1 }.valueIfDone == 2)
  }

  @Test func mapPassesErrorsOnAndThrowsItsOwn() {
    let calls = Tally()
    let failed = Future<Int>.failed(TestError(1)).map { value in
      calls.add()
      return value
    }
    #expect(failed.errorIfDone as? TestError == TestError(1))
    #expect(calls.count == 0)
    let thrown = Future.succeeded(1).map { _ -> Int in throw TestError(2) }
    #expect(thrown.errorIfDone as? TestError == TestError(2))
    let cancellation = Future.succeeded(1).map { _ -> Int in throw CancellationError() }
    #expect(cancellation.errorIfDone is CancellationError)
    #expect(!cancellation.isCancelled)
  }

  @Test func mapIsCancelledWithItsSource() {
    let source = Future<Int>()
    let mapped = source.map { $0 }
    source.cancel()
    #expect(mapped.isCancelled)
  }

  @Test func cancellingAMapCancelsItsSourceAndNeverTransforms() {
    let calls = Tally()
    let source = Future<Int>()
    let mapped = source.map { value in
      calls.add()
      return value
    }
    #expect(mapped.cancel())
    #expect(source.isCancelled)
    let running = Future<Int>()
    #expect(throws: Never.self) { try #expect(running.setRunningOrNotifyCancel()) }
    let ofRunning = running.map { value in
      calls.add()
      return value
    }
    #expect(ofRunning.cancel())
    // The work cannot be taken back, and is asked to stop.
    #expect(running.description.contains("asked to stop"))
    running.complete(with: .success(1))
    #expect(ofRunning.isCancelled)
    #expect(calls.count == 0)
  }

  // MARK: flatMap

  @Test func flatMapEndsAsTheFutureThatItsTransformReturns() {
    let source = Future<Int>()
    let inner = Future<String>()
    let outer = source.flatMap { _ in inner }
    source.complete(with: .success(1))
    #expect(outer.state == .pending)
    inner.complete(with: .success("x"))
    #expect(outer.valueIfDone == "x")
    let failed = Future.succeeded(1).flatMap { _ in Future<Int>.failed(TestError(1)) }
    #expect(failed.errorIfDone as? TestError == TestError(1))
    let thrown = Future.succeeded(1).flatMap { _ -> Future<Int> in throw TestError(2) }
    #expect(thrown.errorIfDone as? TestError == TestError(2))
    let early = Future<Int>.failed(TestError(3)).flatMap { .succeeded($0) }
    #expect(early.errorIfDone as? TestError == TestError(3))
  }

  @Test func flatMapIsCancelledWithItsSourceAndWithItsInnerFuture() {
    let source = Future<Int>()
    let outer = source.flatMap { .succeeded($0) }
    source.cancel()
    #expect(outer.isCancelled)
    let inner = Future<Int>()
    let other = Future.succeeded(1).flatMap { _ in inner }
    inner.cancel()
    #expect(other.isCancelled)
  }

  @Test func cancellingAFlatMapCancelsWhatItWaitsFor() {
    let source = Future<Int>()
    let calls = Tally()
    let early = source.flatMap { value -> Future<Int> in
      calls.add()
      return .succeeded(value)
    }
    #expect(early.cancel())
    #expect(source.isCancelled)
    #expect(calls.count == 0)
    let done = Future.succeeded(1)
    let inner = Future<Int>()
    let late = done.flatMap { _ in inner }
    #expect(late.cancel())
    #expect(inner.isCancelled)
    #expect(done.valueIfDone == 1)
  }

  @Test func flatMapCancelledInsideItsTransformCancelsTheInnerFuture() {
    let source = Future<Int>()
    let inner = Future<Int>()
    let outers = Log<Future<Int>>()
    outers.append(
      source.flatMap { _ in
        outers.entries[0].cancel()
        return inner
      })
    source.complete(with: .success(1))
    #expect(outers.entries[0].isCancelled)
    #expect(inner.isCancelled)
  }

  // MARK: recover

  @Test func recoverTurnsErrorsIntoValues() {
    #expect(Future<Int>.failed(TestError(3)).recover { ($0 as? TestError)?.id ?? -1 }.valueIfDone == 3)
    let other = Future<Int>.failed(TestError(3)).recover { _ in throw TestError(4) }
    #expect(other.errorIfDone as? TestError == TestError(4))
    let calls = Tally()
    let fine = Future.succeeded(1).recover { _ in calls.add() }
    #expect(fine.valueIfDone == 1)
    #expect(calls.count == 0)
  }

  @Test func recoverSeesTheCancellationOfItsSourceAndNotItsOwn() {
    let source = Future<Int>()
    let calls = Tally()
    let recovered = source.recover { error in
      calls.add()
      return error is CancellationError ? 8 : -1
    }
    source.cancel()
    #expect(recovered.valueIfDone == 8)
    let other = Future<Int>()
    let cancelled = other.recover { _ in calls.add() }
    cancelled.cancel()
    #expect(cancelled.isCancelled)
    #expect(other.isCancelled)
    #expect(calls.count == 1)
  }

  // MARK: timeout

  @Test func timeoutEndsAsItsSourceThatComesFirst() {
    let source = Future<Int>()
    let limited = source.timeout(after: .seconds(3600))
    source.complete(with: .success(1))
    #expect(limited.valueIfDone == 1)
    let failing = Future<Int>()
    let ofFailing = failing.timeout(after: .seconds(3600))
    failing.complete(with: .failure(TestError(1)))
    #expect(ofFailing.errorIfDone as? TestError == TestError(1))
    #expect(Future.succeeded(2).timeout(after: .zero).valueIfDone == 2)
  }

  @Test func timeoutThatRunsOutCancelsItsSource() async {
    let source = Future<Int>()
    let limited = source.timeout(after: .milliseconds(1))
    let error = await #expect(throws: TimeoutError.self) { try await limited.value }
    #expect(error?.limit == .milliseconds(1))
    await #expect(throws: CancellationError.self) { try await source.value }
  }

  @Test func timeoutIsCancelledBothWays() {
    let source = Future<Int>()
    let limited = source.timeout(after: .seconds(3600))
    source.cancel()
    #expect(limited.isCancelled)
    let other = Future<Int>()
    #expect(other.timeout(after: .seconds(3600)).cancel())
    #expect(other.isCancelled)
  }

  @Test func timeoutRunsOutEvenIfNobodyHoldsTheFutures() async {
    let gate = Gate()
    // The source dies at once; the callback has to run nevertheless.
    Future<Int>().timeout(after: .milliseconds(1)).addDoneCallback { _ in gate.open() }
    await gate.wait()
    await #expect(throws: TimeoutError.self) {
      try await Future<Int>().timeout(after: .milliseconds(1)).map { $0 }.value
    }
  }

  @Test func timeoutThatIsNotNeededLetsGoOfEverything() {
    let live = LiveCount()
    do {
      let source = Future<LeakProbe>()
      let limited = source.timeout(after: .seconds(3600))
      source.complete(with: .success(live.probe()))
      #expect(limited.isDone)
    }
    #expect(live.count == 0)
  }

  @Test func negativeLimitIsAMistakeOfTheCaller() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Future<Int>().timeout(after: .seconds(-1))
    }
    expectMessage(result, "limit must not be negative")
  }

  // MARK: shielded

  @Test func shieldedEndsAsItsSource() {
    let source = Future<Int>()
    let shield = source.shielded()
    source.complete(with: .success(1))
    #expect(shield.valueIfDone == 1)
    let cancelled = Future<Int>()
    let ofCancelled = cancelled.shielded()
    cancelled.cancel()
    #expect(ofCancelled.isCancelled)
    #expect(Future<Int>.failed(TestError(1)).shielded().errorIfDone as? TestError == TestError(1))
  }

  @Test func cancellingAShieldLeavesItsSourceAlone() {
    let source = Future<Int>()
    let shield = source.shielded()
    let behind = source.shielded().map { $0 }
    #expect(shield.cancel())
    #expect(behind.cancel())
    #expect(source.state == .pending)
    source.complete(with: .success(1))
    #expect(source.valueIfDone == 1)
    #expect(shield.isCancelled)
  }
}
