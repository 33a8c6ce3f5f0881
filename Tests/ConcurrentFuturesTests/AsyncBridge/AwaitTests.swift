import Testing

@testable import ConcurrentFutures

/// `value`, `result` and `value(within:)`: waiting in a Task.
@Suite struct AwaitTests {
  @Test func valueOfADoneFutureIsThereAtOnce() async throws {
    #expect(try await Future.succeeded(1).value == 1)
    await #expect(throws: TestError(1)) { try await Future<Int>.failed(TestError(1)).value }
    let cancelled = Future<Int>()
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  /// An actor's code that awaits what is there goes on at once: nothing else of the actor runs in between.
  @Test @MainActor func awaitingWhatIsDoneDoesNotLeaveTheActor() async throws {
    let other = Tally()
    let task = Task { @MainActor in _ = other.add() }
    let future = Future.succeeded(1)
    var sum = 0
    for _ in 0..<100 {
      sum += try await future.value
      sum += try await future.result.get()
      sum += try await future.value(within: .zero)
    }
    for await done in asCompleted([future, .succeeded(2)]) { sum += try done.resultIfDone!.get() }
    #expect(sum == 303 && other.count == 0)
    await task.value
    #expect(other.count == 1)
  }

  @Test(arguments: CallbackTests.End.allCases) func everyEndWakesItsTasks(end: CallbackTests.End) async {
    let future = Future<Int>()
    let tasks = (0..<6).map { index in
      Task { index % 2 == 0 ? await future.result : await Result { try await future.value(within: .seconds(3600)) } }
    }
    await eventually { future.registrationCount == tasks.count }
    end.apply(to: future)
    for task in tasks {
      switch (end, await task.value) {
      case (.value, .success(1)): break
      case (.error, .failure(let error)): #expect(error as? TestError == TestError())
      case (.cancellation, .failure(let error)): #expect(error is CancellationError)
      default: Issue.record("not the future's end")
      }
    }
    #expect(!future.hasRegistrations)
  }

  @Test func cancelledTaskStopsWaitingAndLeavesTheFutureAlone() async throws {
    let future = Future<Int>()
    let other = Task { try await future.value }
    let task = Task { try await future.value }
    await eventually { future.registrationCount == 2 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(future.state == .pending)
    #expect(future.registrationCount == 1)
    future.complete(with: .success(2))
    #expect(try await other.value == 2)
  }

  @Test func cancelledTaskDoesNotBeginToWait() async {
    let future = Future<Int>()
    let start = Gate()
    let task = Task {
      await start.wait()
      return try await future.value
    }
    task.cancel()
    start.open()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(future.registrationCount == 0)
    #expect(future.state == .pending)
  }

  @Test func cancelledTaskStillReadsWhatIsThere() async throws {
    let future = Future.succeeded(3)
    let start = Gate()
    let task = Task {
      await start.wait()
      return try await (future.value, future.value(within: .zero), future.result.get())
    }
    task.cancel()
    start.open()
    #expect(try await task.value == (3, 3, 3))
  }

  @Test func resultOfACancelledTaskIsItsCancellation() async {
    let future = Future<Int>()
    let task = Task { await future.result }
    await eventually { future.hasRegistrations }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value.get() }
    #expect(future.state == .pending)
  }

  @Test func valueWithinALimitThatRunsOutThrowsAndLeavesTheFutureAlone() async throws {
    let future = Future<Int>()
    let patient = Task { try await future.value(within: .seconds(3600)) }
    await eventually { future.hasRegistrations }
    let error = await #expect(throws: TimeoutError.self) { try await future.value(within: .milliseconds(1)) }
    #expect(error?.limit == .milliseconds(1))
    await #expect(throws: TimeoutError.self) { try await future.value(within: .zero) }
    #expect(future.state == .pending)
    #expect(future.registrationCount == 1)
    future.complete(with: .success(1))
    #expect(try await patient.value == 1)
    #expect(try await future.value(within: .zero) == 1)
  }

  @Test func negativeLimitIsAMistakeOfTheCaller() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try await Future<Int>().value(within: .seconds(-1))
    }
    expectMessage(result, "limit must not be negative")
  }

  @Test func waitingTasksKeepNothingAlive() async {
    let live = LiveCount()
    do {
      let future = Future<LeakProbe>()
      let cancelled = Task { [probe = live.probe()] in
        probe.touch()
        return await future.result
      }
      await eventually { future.hasRegistrations }
      cancelled.cancel()
      _ = await cancelled.value
      future.complete(with: .success(live.probe()))
      _ = try? await future.value
    }
    await eventually { live.count == 0 }
  }

  @Test func futureIsReadFromActors() async throws {
    actor Reader {
      var seen: [Int] = []
      func read(_ future: Future<Int>) async throws { seen.append(try await future.value) }
    }
    let reader = Reader()
    let future = Future<Int>()
    async let first: Void = reader.read(future)
    async let second: Void = reader.read(future)
    await eventually { future.registrationCount == 2 }
    future.complete(with: .success(5))
    _ = try await (first, second)
    #expect(await reader.seen == [5, 5])
  }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
