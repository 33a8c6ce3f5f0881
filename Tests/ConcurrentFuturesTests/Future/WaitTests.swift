import Testing

@testable import ConcurrentFutures

// That `wait` cannot be called in asynchronous code is a compile-time fact (`noasync`), which no test can run.

/// Blocking waits for one future.
@Suite struct WaitTests {
  @Test func waitGivesTheValueOrThrowsTheError() async throws {
    #expect(try await onThread { try Future.succeeded(5).wait() } == 5)
    await #expect(throws: TestError(2)) {
      try await onThread { _ = try Future<Int>.failed(TestError(2)).wait() }
    }
    let cancelled = Future<Int>()
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await onThread { _ = try cancelled.wait() } }
  }

  @Test(arguments: CallbackTests.End.allCases) func everyEndWakesItsWaiters(end: CallbackTests.End) async throws {
    let future = Future<Int>()
    let waiters = 6
    async let outcomes = onThreads(waiters) { index in
      // Some with a limit that they do not reach, some without one.
      do {
        return try future.wait(timeout: index % 2 == 0 ? nil : .seconds(3600)) == 1 ? "value" : "?"
      } catch is CancellationError {
        return "cancelled"
      } catch {
        return "\(error)"
      }
    }
    await eventually { future.registrationCount == waiters }
    end.apply(to: future)
    let expected =
      switch end {
      case .value: "value"
      case .error: "\(TestError())"
      case .cancellation: "cancelled"
      }
    #expect(try await outcomes == Array(repeating: expected, count: waiters))
    #expect(!future.hasRegistrations)
  }

  @Test func cancelledFutureWakesItsWaitersAlthoughNoExecutorLooksAtIt() async throws {
    let future = Future<Int>()
    async let waiting: Void = onThread {
      #expect(throws: CancellationError.self) { try future.wait() }
    }
    await eventually { future.hasRegistrations }
    #expect(future.cancel())
    try await waiting
  }

  @Test func zeroTimeoutOnlyLooks() async throws {
    try await onThread {
      let pending = Future<Int>()
      let error = #expect(throws: TimeoutError.self) { try pending.wait(timeout: .zero) }
      #expect(error?.limit == .zero)
      #expect(!pending.hasRegistrations)
      let value = try Future.succeeded(1).wait(timeout: .zero)
      #expect(value == 1)
    }
  }

  @Test func waitThatTimesOutLeavesTheFutureAndItsOtherWaitersAlone() async throws {
    let future = Future<Int>()
    async let patient = onThread { try future.wait() }
    await eventually { future.registrationCount == 1 }
    let log = Log<Int>()
    future.addDoneCallback { _ in log.append(1) }
    for _ in 0..<3 {
      try await onThread {
        let error = #expect(throws: TimeoutError.self) { try future.wait(timeout: .milliseconds(1)) }
        #expect(error?.limit == .milliseconds(1))
      }
    }
    #expect(future.state == .pending)
    #expect(future.registrationCount == 2)
    future.complete(with: .success(3))
    #expect(try await patient == 3)
    #expect(log.entries == [1])
  }

  @Test func negativeTimeoutIsAMistakeOfTheCaller() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      try await onThread { _ = try Future<Int>().wait(timeout: .milliseconds(-1)) }
    }
    expectMessage(result, "timeout must not be negative")
  }

  @Test func waitInsideACallbackOfItsOwnFutureReturnsAtOnce() {
    let future = Future<Int>()
    let log = Log<Int>()
    future.addDoneCallback {
      log.append((try? $0.wait()) ?? -1)
      log.append((try? $0.wait(timeout: .zero)) ?? -1)
    }
    future.complete(with: .success(4))
    #expect(log.entries == [4, 4])
  }

  @Test func combinatorsInsideACallbackOfTheirFutureSeeItAsDone() async throws {
    // Each would wait for the very callback that it runs in, if it went by the callbacks and not by the state.
    try await onThread {
      let future = Future<Int>()
      let log = Log<Int>()
      future.addDoneCallback { future in
        log.append((try? gather([future]).wait(timeout: .seconds(patience)))?.count ?? -1)
        log.append(wait([future], timeout: .seconds(patience)).done.count)
        var iterator = asCompleted([future, future], timeout: .seconds(patience)).makeIterator()
        log.append((try? iterator.next()) === future ? 1 : -1)
        log.append((try? iterator.next()) == nil ? 0 : -1)
        log.append((try? firstCompleted(of: [future]).wait(timeout: .seconds(patience))) ?? -1)
      }
      future.complete(with: .success(7))
      #expect(log.entries == [1, 1, 1, 0, 7])
    }
  }

  @Test func combinatorsElsewhereDoNotWaitForTheCallbacks() async throws {
    let future = Future<Int>()
    let (inside, go) = (Gate(), Gate())
    future.addDoneCallback { _ in
      inside.open()
      go.pass()
    }
    async let completing = onThread { future.complete(with: .success(1)) }
    await inside.wait()
    #expect(try await gather([future, future]).value(within: .seconds(patience)) == [1, 1])
    #expect(await wait([future], timeout: .seconds(patience)).done == [future])
    for try await done in asCompleted([future], timeout: .seconds(patience)) { #expect(done === future) }
    #expect(try await onThread { try future.wait() } == 1)
    #expect(try await future.value == 1)
    go.open()
    #expect(try await completing)
  }

  @Test func waitInsideACallbackForWhatAnotherThreadCompletes() async throws {
    let (future, other) = (Future<Int>(), Future<Int>())
    let log = Log<Int>()
    future.addDoneCallback { _ in log.append((try? other.wait()) ?? -1) }
    async let completing = onThread { future.complete(with: .success(1)) }
    await eventually { other.hasRegistrations }
    other.complete(with: .success(2))
    #expect(try await completing)
    #expect(log.entries == [2])
  }

  @Test func waitersGoAheadOfCallbacks() async throws {
    let future = Future<Int>()
    let woken = Gate()
    future.addDoneCallback { _ in woken.pass() }
    async let waiting: Void = onThread {
      _ = try future.wait()
      woken.open()
    }
    await eventually { future.registrationCount == 2 }
    // Ends only if the waiter is woken before the callback that waits for it.
    try await onThread { _ = future.complete(with: .success(1)) }
    try await waiting
  }

  @Test func threadsCanWaitAgainAndAgain() async throws {
    let futures = (0..<500).map { _ in Future<Int>() }
    async let sum = onThread {
      var sum = 0
      for future in futures { sum += try future.wait(timeout: .seconds(patience)) }
      return sum
    }
    try await onThread { for future in futures { future.complete(with: .success(1)) } }
    #expect(try await sum == 500)
  }
}

/// The message of a failed precondition, which release builds leave out.
func expectMessage(
  _ result: ExitTest.Result?, _ message: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  #if DEBUG
  let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
  #expect(text.contains(message), sourceLocation: sourceLocation)
  #endif
}
