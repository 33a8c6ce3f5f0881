import Testing

@testable import ConcurrentFutures

@Suite struct FirstTests {
  private func three() -> [Future<Int>] { (0..<3).map { _ in Future() } }

  @Test func firstCompletedEndsAsTheFirstToEnd() {
    let values = three()
    let first = firstCompleted(of: values)
    values[1].complete(with: .success(1))
    values[0].complete(with: .success(0))
    #expect(first.valueIfDone == 1)
    let errors = three()
    let failed = firstCompleted(of: errors)
    errors[2].complete(with: .failure(TestError(2)))
    #expect(failed.errorIfDone as? TestError == TestError(2))
    #expect(firstCompleted(of: [Future(), .succeeded(5), .succeeded(6)]).valueIfDone == 5)
  }

  @Test func theOthersGoOnWhateverTheFirstEndWas() {
    for end in CallbackTests.End.allCases {
      let futures = three()
      let first = firstCompleted(of: futures)
      end.apply(to: futures[1])
      #expect(first.isDone)
      #expect(first.isCancelled == (end == .cancellation))
      #expect(futures[0].state == .pending)
      #expect(futures[2].state == .pending)
      #expect(!futures[0].hasRegistrations)
    }
  }

  @Test func firstSucceededPassesOverErrorsAndCancellations() {
    let futures = three()
    let first = firstSucceeded(of: futures)
    futures[0].complete(with: .failure(TestError()))
    futures[1].cancel()
    #expect(!first.isDone)
    futures[2].complete(with: .success(2))
    #expect(first.valueIfDone == 2)
    let early = three()
    let winner = firstSucceeded(of: early)
    early[1].complete(with: .success(1))
    #expect(winner.valueIfDone == 1)
    #expect(early[0].state == .pending)
  }

  @Test func firstSucceededFailsWithTheLastError() {
    let futures = three()
    let first = firstSucceeded(of: futures)
    for index in [1, 2, 0] { futures[index].complete(with: .failure(TestError(index))) }
    #expect(first.errorIfDone as? TestError == TestError(0))
    let cancelled = three()
    let none = firstSucceeded(of: cancelled)
    cancelled[0].complete(with: .failure(TestError(0)))
    cancelled[1].cancel()
    cancelled[2].cancel()
    #expect(none.errorIfDone is CancellationError)
  }

  @Test func cancellingCancelsAllThatAreNotDone() {
    for make in [firstCompleted(of:), firstSucceeded(of:)] as [([Future<Int>]) -> Future<Int>] {
      let futures = three()
      #expect(make(futures).cancel())
      #expect(futures.allSatisfy { $0.isCancelled })
    }
    let futures = three() + [Future.failed(TestError())]
    #expect(firstSucceeded(of: futures).cancel())
    #expect(futures[3].state == .finished)
  }

  @Test func noFuturesHaveNoFirst() {
    #expect(firstCompleted(of: [Future<Int>]()).errorIfDone is NoFuturesError)
    #expect(firstSucceeded(of: [Future<Int>]()).errorIfDone is NoFuturesError)
  }

  @Test func repeatedFutureIsOneContestant() {
    let (a, b) = (Future<Int>(), Future<Int>())
    let first = firstSucceeded(of: [a, a, b])
    a.complete(with: .failure(TestError(1)))
    #expect(!first.isDone)
    b.complete(with: .failure(TestError(2)))
    #expect(first.errorIfDone as? TestError == TestError(2))
  }

  @Test func decidedRaceKeepsNothingAlive() {
    let live = LiveCount()
    let winner = Future<LeakProbe>()
    do {
      let loser = Future<LeakProbe>()
      loser.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      let first = firstCompleted(of: [loser, winner])
      winner.complete(with: .failure(TestError()))
      #expect(first.isDone)
    }
    #expect(live.count == 0)
  }

  @Test func raceOfManyThreadsHasOneWinner() async throws {
    try await race(
      rounds: stress(1000),
      prepare: { _ in
        let futures = [Future<Int>(), Future<Int>()]
        return (futures, firstCompleted(of: futures), Tally())
      },
      (0..<2).map { index in
        { subject in
          subject.1.addDoneCallback { _ in subject.2.add() }
          subject.0[index].complete(with: .success(index))
        }
      }
    ) { _, subject in
      #expect(subject.1.valueIfDone != nil)
      #expect(subject.2.count == 2)
      #expect(subject.0.allSatisfy { !$0.hasRegistrations })
    }
  }
}
