import Testing

@testable import ConcurrentFutures

@Suite struct GatherTests {
  // MARK: packs

  @Test func packsOfEverySizeKeepTheirTypesAndOrder() async throws {
    let (a, b, c) = (Future<Int>(), Future<String>(), Future<[Double]>())
    let (d, e, f) = (Future<Void>(), Future<Int?>(), Future<SIMD8<Double>>())
    let two = gather(a, b)
    let three = gather(a, b, c)
    let four = gather(a, b, c, d)
    let five = gather(a, b, c, d, e)
    let six = gather(a, b, c, d, e, f)
    f.complete(with: .success(SIMD8(repeating: 1)))
    e.complete(with: .success(nil))
    d.complete(with: .success(()))
    c.complete(with: .success([0.5]))
    b.complete(with: .success("b"))
    #expect([two.isDone, three.isDone, four.isDone, five.isDone, six.isDone].allSatisfy { !$0 })
    a.complete(with: .success(1))
    #expect(try await two.value == (1, "b"))
    #expect(try await three.value == (1, "b", [0.5]))
    let fourth = try await four.value
    #expect((fourth.0, fourth.1, fourth.2) == (1, "b", [0.5]))
    #expect(try await five.value.4 == nil)
    #expect(try await six.value.5 == SIMD8(repeating: 1))
  }

  @Test func packFailsAtOnceAndItsSiblingsGoOn() {
    let (a, b) = (Future<Int>(), Future<String>())
    let both = gather(a, b)
    b.complete(with: .failure(TestError(1)))
    #expect(both.errorIfDone as? TestError == TestError(1))
    #expect(a.state == .pending)
  }

  @Test func cancellingAPackCancelsItsChildren() {
    let (a, b) = (Future<Int>(), Future<String>())
    #expect(gather(a, b).cancel())
    #expect(a.isCancelled)
    #expect(b.isCancelled)
  }

  // MARK: sequences

  @Test func valuesComeInTheOrderOfTheFutures() {
    let futures = (0..<10).map { _ in Future<Int>() }
    let all = gather(futures)
    for index in [3, 9, 0, 1, 8, 2, 7, 6, 4] { futures[index].complete(with: .success(index)) }
    #expect(!all.isDone)
    futures[5].complete(with: .success(5))
    #expect(all.valueIfDone == Array(0..<10))
    #expect(gather(AnySequence([Future.succeeded(1)])).valueIfDone == [1])
  }

  @Test func nothingIsGatheredAtOnce() {
    #expect(gather([Future<Int>]()).valueIfDone == [])
    #expect(gatherResults([Future<Int>]()).valueIfDone?.isEmpty == true)
  }

  @Test func firstErrorCompletesTheGatherAtOnceAndSiblingsGoOn() {
    let futures = (0..<3).map { _ in Future<Int>() }
    let all = gather(futures)
    futures[2].complete(with: .failure(TestError(2)))
    #expect(all.errorIfDone as? TestError == TestError(2))
    futures[0].complete(with: .failure(TestError(0)))
    #expect(all.errorIfDone as? TestError == TestError(2))
    #expect(futures[1].state == .pending)
    futures[1].complete(with: .success(1))
    #expect(futures[1].valueIfDone == 1)
    #expect(gather([.succeeded(1), Future<Int>.failed(TestError(5))]).errorIfDone as? TestError == TestError(5))
  }

  @Test func cancelledChildIsAnErrorAndNotACancelledGather() {
    let futures = (0..<2).map { _ in Future<Int>() }
    let all = gather(futures)
    futures[0].cancel()
    #expect(all.errorIfDone is CancellationError)
    #expect(all.state == .finished)
    #expect(futures[1].state == .pending)
  }

  @Test func cancellingAGatherCancelsItsUnfinishedChildren() {
    let futures = [Future.succeeded(1), Future<Int>(), Future<Int>()]
    let all = gather(futures)
    #expect(all.cancel())
    #expect(all.isCancelled)
    #expect(futures.map(\.state) == [.finished, .cancelled, .cancelled])
    let done = gather([Future.succeeded(1)])
    #expect(!done.cancel())
  }

  @Test func valueOfARepeatedFutureIsRepeated() {
    let (a, b) = (Future<Int>(), Future<Int>())
    let all = gather([a, b, a])
    a.complete(with: .success(1))
    #expect(!all.isDone)
    b.complete(with: .success(2))
    #expect(all.valueIfDone == [1, 2, 1])
  }

  @Test func hundredThousandFuturesAreGathered() async throws {
    let futures = (0..<stress(100_000)).map { _ in Future<Int>() }
    let all = gather(futures)
    let results = gatherResults(futures)
    _ = try await onThreads(2) { thread in
      for index in stride(from: thread, to: futures.count, by: 2) { futures[index].complete(with: .success(index)) }
    }
    #expect(try await all.value == Array(0..<stress(100_000)))
    #expect(try await results.value.count == stress(100_000))
  }

  @Test func failedGatherKeepsNoChildAlive() {
    let live = LiveCount()
    let failing = Future<LeakProbe>()
    let slow = Future<LeakProbe>()
    let all: Future<[LeakProbe]>
    do {
      let done = Future.succeeded(live.probe())
      let forgotten = Future<LeakProbe>()
      forgotten.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      all = gather([done, forgotten, failing, slow])
    }
    #expect(live.count == 2)
    failing.complete(with: .failure(TestError()))
    #expect(live.count == 0)
    #expect(all.isDone)
    withExtendedLifetime(slow) {}
  }

  @Test func gatherLetsGoOfItsChildrenWhenItIsDone() {
    let live = LiveCount()
    do {
      let future = Future<LeakProbe>()
      let all = gather([future, future])
      let results = gatherResults([future])
      let pack = gather(future, future)
      future.complete(with: .success(live.probe()))
      #expect(all.isDone && results.isDone && pack.isDone)
    }
    #expect(live.count == 0)
    do {
      let future = Future<LeakProbe>()
      future.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      gather([future]).cancel()
    }
    #expect(live.count == 0)
  }

  @Test func resultsAreGatheredWhateverTheyAre() throws {
    let futures = (0..<4).map { _ in Future<Int>() }
    let all = gatherResults(futures + [futures[0]])
    futures[1].complete(with: .failure(TestError(1)))
    futures[2].cancel()
    futures[3].complete(with: .success(3))
    #expect(!all.isDone)
    futures[0].complete(with: .success(0))
    let results = try #require(all.valueIfDone)
    #expect(try results[0].get() == 0)
    #expect(throws: TestError(1)) { try results[1].get() }
    #expect(throws: CancellationError.self) { try results[2].get() }
    #expect(try results[3].get() == 3)
    #expect(try results[4].get() == 0)
    let pending = [Future<Int>(), Future<Int>()]
    gatherResults(pending).cancel()
    #expect(pending.allSatisfy { $0.isCancelled })
  }

  @Test func completionsFromManyThreadsCompleteAGatherOnce() async throws {
    for round in 0..<stress(100) {
      let futures = (0..<16).map { _ in Future<Int>() }
      let all = gather(futures)
      let calls = Tally()
      all.addDoneCallback { _ in calls.add() }
      _ = try await onThreads(4) { thread in
        for index in stride(from: thread, to: 16, by: 4) {
          if round % 2 == 0 {
            futures[index].complete(with: .success(index))
          } else {
            futures[index].complete(with: .failure(TestError(index)))
          }
        }
      }
      #expect(all.isDone)
      #expect(calls.count == 1)
      if round % 2 == 0 { #expect(all.valueIfDone == Array(0..<16)) } else { #expect(all.errorIfDone is TestError) }
    }
  }
}
