import Testing

@testable import ConcurrentFutures

/// `wait(_:timeout:returnWhen:)`, blocking and suspending: every test runs both.
@Suite struct WaitForFuturesTests {
  typealias Outcome = (done: Set<Future<Int>>, notDone: Set<Future<Int>>)

  enum World: CaseIterable {
    case blocking, suspending

    func wait(
      _ futures: [Future<Int>], timeout: Duration? = nil, returnWhen: ReturnWhen = .allCompleted
    ) async throws -> Outcome {
      switch self {
      case .blocking:
        try await onThread { ConcurrentFutures.wait(futures, timeout: timeout, returnWhen: returnWhen) }
      case .suspending: await ConcurrentFutures.wait(futures, timeout: timeout, returnWhen: returnWhen)
      }
    }
  }

  private func waiting(
    _ world: World, _ futures: [Future<Int>], returnWhen: ReturnWhen, meanwhile: () async -> Void
  ) async throws -> Outcome {
    let task = Task { try await world.wait(futures, returnWhen: returnWhen) }
    await eventually { futures.allSatisfy { $0.isDone || $0.hasRegistrations } }
    await meanwhile()
    let outcome = try await task.value
    #expect(futures.allSatisfy { !$0.hasRegistrations })
    return outcome
  }

  @Test(arguments: World.allCases) func allCompletedWaitsForTheLast(world: World) async throws {
    let futures = (0..<3).map { _ in Future<Int>() }
    let outcome = try await waiting(world, futures, returnWhen: .allCompleted) {
      futures[0].complete(with: .failure(TestError()))
      futures[1].cancel()
      futures[2].complete(with: .success(1))
    }
    #expect(outcome == (Set(futures), []))
  }

  @Test(arguments: World.allCases) func firstCompletedReturnsAtTheFirstEnd(world: World) async throws {
    for end in CallbackTests.End.allCases {
      let futures = (0..<3).map { _ in Future<Int>() }
      let outcome = try await waiting(world, futures, returnWhen: .firstCompleted) { end.apply(to: futures[1]) }
      #expect(outcome == ([futures[1]], [futures[0], futures[2]]))
    }
  }

  @Test(arguments: World.allCases) func firstErrorPassesOverValuesAndCancellations(world: World) async throws {
    let futures = (0..<4).map { _ in Future<Int>() }
    let outcome = try await waiting(world, futures, returnWhen: .firstError) {
      futures[0].complete(with: .success(1))
      futures[1].cancel()
      futures[2].complete(with: .failure(TestError()))
    }
    #expect(outcome == (Set(futures[..<3]), [futures[3]]))
    let fine = (0..<2).map { _ in Future<Int>() }
    let all = try await waiting(world, fine, returnWhen: .firstError) {
      fine[0].cancel()
      fine[1].complete(with: .success(1))
    }
    #expect(all == (Set(fine), []))
  }

  @Test(arguments: World.allCases) func whatIsDoneAlreadyCounts(world: World) async throws {
    let pending = Future<Int>()
    let (done, failed) = (Future.succeeded(1), Future<Int>.failed(TestError()))
    #expect(try await world.wait([pending, done], returnWhen: .firstCompleted) == ([done], [pending]))
    #expect(try await world.wait([pending, failed], returnWhen: .firstError) == ([failed], [pending]))
    #expect(try await world.wait([done, failed]) == ([done, failed], []))
    #expect(!pending.hasRegistrations)
  }

  @Test(arguments: World.allCases) func nothingToWaitForReturnsAtOnce(world: World) async throws {
    for condition in [ReturnWhen.allCompleted, .firstCompleted, .firstError] {
      #expect(try await world.wait([], returnWhen: condition) == ([], []))
    }
  }

  @Test(arguments: World.allCases) func duplicatesCountOnce(world: World) async throws {
    let (a, b) = (Future<Int>(), Future<Int>())
    let outcome = try await waiting(world, [a, a, b, a, b], returnWhen: .allCompleted) {
      #expect(a.registrationCount == 1)
      a.complete(with: .success(1))
      b.complete(with: .success(1))
    }
    #expect(outcome == ([a, b], []))
  }

  @Test(arguments: World.allCases) func timeoutTellsWhatIsDoneAndTouchesNothing(world: World) async throws {
    let (pending, done) = (Future<Int>(), Future.succeeded(1))
    #expect(try await world.wait([pending, done], timeout: .milliseconds(1)) == ([done], [pending]))
    #expect(try await world.wait([pending, done], timeout: .zero) == ([done], [pending]))
    #expect(pending.state == .pending)
    #expect(!pending.hasRegistrations)
    #expect(try await world.wait([done], timeout: .zero) == ([done], []))
  }

  @Test func cancelledTaskReturnsWhatIsDone() async {
    let (pending, done) = (Future<Int>(), Future.succeeded(1))
    let task = Task { await wait([pending, done]) }
    await eventually { pending.hasRegistrations }
    task.cancel()
    #expect(await task.value == ([done], [pending]))
    #expect(pending.state == .pending)
    #expect(!pending.hasRegistrations)
  }

  @Test(arguments: World.allCases) func manyFuturesCompletedByManyThreads(world: World) async throws {
    let futures = (0..<stress(20_000)).map { _ in Future<Int>() }
    async let outcome = world.wait(futures)
    _ = try await onThreads(2) { thread in
      for index in stride(from: thread, to: futures.count, by: 2) { futures[index].complete(with: .success(index)) }
    }
    #expect(try await outcome.done.count == futures.count)
  }

  @Test func waitKeepsNothingAlive() async throws {
    let live = LiveCount()
    do {
      let future = Future<LeakProbe>()
      future.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      _ = await wait([future], timeout: .zero)
      _ = try await onThread { wait([future], timeout: .zero) }
    }
    #expect(live.count == 0)
  }

  @Test func negativeTimeoutIsAMistakeOfTheCaller() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = await wait([Future<Int>()], timeout: .seconds(-1))
    }
    expectMessage(result, "timeout must not be negative")
  }
}
