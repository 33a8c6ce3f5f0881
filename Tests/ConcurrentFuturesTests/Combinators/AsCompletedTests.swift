import Testing

@testable import ConcurrentFutures

// That a plain `for` does not compile in asynchronous code is a fact of the compiler (`noasync`), which no test can run.

@Suite struct AsCompletedTests {
  @Test func futuresComeAsTheyEnd() async throws {
    let futures = (0..<4).map { _ in Future<Int>() }
    let order = [2, 0, 3, 1]
    let received = Gate()
    async let blocking = onThread {
      var seen: [Int] = []
      for future in asCompleted(futures) {
        seen.append(futures.firstIndex(of: future)!)
        received.open()
      }
      return seen
    }
    let suspending = Task {
      var seen: [Int] = []
      for await future in asCompleted(futures) { seen.append(futures.firstIndex(of: future)!) }
      return seen
    }
    await eventually { futures.allSatisfy { $0.registrationCount == 2 } }
    futures[2].cancel()
    await received.wait()
    futures[0].complete(with: .failure(TestError()))
    futures[3].complete(with: .success(1))
    futures[1].complete(with: .success(2))
    #expect(try await blocking == order)
    #expect(await suspending.value == order)
  }

  @Test func doneFuturesComeFirstInTheirOrder() async {
    let pending = Future<Int>()
    let futures = [pending, .succeeded(1), .failed(TestError()), .succeeded(2)]
    var iterator = asCompleted(futures).makeAsyncIterator()
    for index in 1...3 { #expect(await iterator.next() === futures[index]) }
    pending.complete(with: .success(0))
    #expect(await iterator.next() === pending)
    #expect(await iterator.next() == nil)
    #expect(await iterator.next() == nil)
  }

  @Test func nothingEndsAtOnce() async throws {
    for await _ in asCompleted([Future<Int>]()) { Issue.record("there is none") }
    let count = try await onThread { asCompleted([Future<Int>]()).reduce(0) { count, _ in count + 1 } }
    #expect(count == 0)
  }

  /// Pending with a free slot, pending with a slot that is taken, done, and done while the queue registers.
  @Test(arguments: 0..<4) func duplicatesComeOnce(kind: Int) async {
    let (a, b) = (Future<Int>(), Future<Int>())
    if kind == 1 { a.addDoneCallback { _ in } }
    if kind == 2 { a.complete(with: .success(1)) }
    if kind == 3 { b.complete(with: .success(1)) }
    let sequence = asCompleted([a, b, a, a, b, a])
    a.complete(with: .success(1))
    b.complete(with: .success(2))
    var seen: [Future<Int>] = []
    for await future in sequence { seen.append(future) }
    #expect(seen == (kind == 3 ? [b, a] : [a, b]))
  }

  @Test func duplicatesThatEndWhileTheyAreRegisteredComeOnce() async throws {
    try await race(
      rounds: stress(20_000), prepare: { _ in (Future<Int>(), Tally()) },
      [
        { subject in for _ in asCompleted([subject.0, subject.0, subject.0]) { subject.1.add() } },
        { subject in subject.0.complete(with: .success(1)) },
      ]
    ) { round, subject in #expect(subject.1.count == 1, "round \(round)") }
  }

  @Test func abandonedIterationTakesItsRegistrationsBack() async throws {
    let futures = (0..<100).map { _ in Future<Int>() }
    futures[7].addDoneCallback { _ in }
    futures[50].complete(with: .success(1))
    for await _ in asCompleted(futures) { break }
    #expect(futures.map(\.registrationCount).reduce(0, +) == 1)
    try await onThread { for _ in asCompleted(futures) { break } }
    #expect(futures.map(\.registrationCount).reduce(0, +) == 1)
    _ = asCompleted(futures)
    _ = asCompleted(futures, timeout: .seconds(3600))
    #expect(futures.map(\.registrationCount).reduce(0, +) == 1)
    // Given twice, it is not taken for one with a list.
    _ = asCompleted([futures[3], futures[3]])
    #expect(!futures[3].hasRegistrations)
  }

  @Test func abandonedIterationKeepsNothingAlive() async {
    let live = LiveCount()
    func future(done: Bool) -> Future<LeakProbe> {
      let future = Future<LeakProbe>()
      if done {
        future.complete(with: .success(live.probe()))
      } else {
        future.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      }
      return future
    }
    for await _ in asCompleted([future(done: false), future(done: true), future(done: true)]) { break }
    #expect(live.count == 0)
    #expect(live.total == 3)
  }

  @Test func eachFutureIsLetGoOfAsItIsHandedOut() async {
    let live = LiveCount()
    let sequence = asCompleted((0..<5).map { _ in Future.succeeded(live.probe()) })
    var iterator = sequence.makeAsyncIterator()
    for left in (0..<5).reversed() {
      do { #expect(await iterator.next() != nil) }
      #expect(live.count == left)
    }
    #expect(await iterator.next() == nil)
  }

  @Test func iteratorsShareWhatIsLeft() async {
    let futures = (0..<4).map { Future.succeeded($0) }
    let sequence = asCompleted(futures)
    var (a, b) = (sequence.makeAsyncIterator(), sequence.makeAsyncIterator())
    var seen: Set<Future<Int>> = []
    for _ in 0..<2 {
      if let future = await a.next() { seen.insert(future) }
      if let future = await b.next() { seen.insert(future) }
    }
    #expect(seen == Set(futures))
    #expect(await a.next() == nil)
    #expect(await b.next() == nil)
  }

  @Test func manyConsumersGetEachFutureOnce() async throws {
    let futures = (0..<stress(2000)).map { _ in Future<Int>() }
    let sequence = asCompleted(futures)
    let seen = Log<Future<Int>>()
    async let consuming: [Void] = onThreads(3) { _ in for future in sequence { seen.append(future) } }
    async let awaiting: Void = { for await future in sequence { seen.append(future) } }()
    try await onThread { for future in futures { future.complete(with: .success(1)) } }
    _ = try await consuming
    await awaiting
    #expect(seen.count == stress(2000))
    #expect(Set(seen.entries).count == stress(2000))
  }

  @Test func cancelledTaskEndsItsIterationAndNothingElse() async {
    let futures = [Future<Int>(), Future<Int>()]
    let task = Task {
      var count = 0
      for await _ in asCompleted(futures) { count += 1 }
      return count
    }
    await eventually { futures[1].hasRegistrations }
    futures[0].complete(with: .success(1))
    task.cancel()
    #expect(await task.value <= 1)
    #expect(futures[1].state == .pending)
    #expect(!futures[1].hasRegistrations)
  }

  // MARK: time limits

  @Test func timeLimitHandsOutWhatIsDoneAndThenThrows() async throws {
    let futures = [Future<Int>(), .succeeded(1), Future<Int>()]
    var seen: [Future<Int>] = []
    let error = await #expect(throws: TimeoutError.self) {
      for try await future in asCompleted(futures, timeout: .milliseconds(1)) { seen.append(future) }
    }
    #expect(seen == [futures[1]])
    #expect(error?.limit == .milliseconds(1))
    #expect(error?.description.hasPrefix("2 of 3 futures did not end within") == true)
    #expect(futures.allSatisfy { !$0.hasRegistrations })
    try await onThread {
      var iterator = asCompleted(futures, timeout: .zero).makeIterator()
      let first = try iterator.next()
      #expect(first === futures[1])
      #expect(throws: TimeoutError.self) { _ = try iterator.next() }
      #expect(throws: TimeoutError.self) { _ = try iterator.next() }
    }
  }

  @Test func timeLimitThatIsKeptDoesNotThrow() async throws {
    let futures = [Future<Int>(), Future<Int>()]
    let task = Task {
      var count = 0
      for try await _ in asCompleted(futures, timeout: .seconds(3600)) { count += 1 }
      return count
    }
    await eventually { futures[1].hasRegistrations }
    for future in futures { future.cancel() }
    #expect(try await task.value == 2)
  }

  @Test func clockStartsAtTheCall() async throws {
    let limit = Duration.seconds(5)
    let before = Deadline(after: limit)
    let sequence = asCompleted([Future<Int>()], timeout: limit)
    let after = Deadline(after: limit)
    let deadline = try #require(sequence.handle.deadline)
    #expect(before <= deadline && deadline <= after)
    // The iterators have no clock of their own.
    #expect(sequence.makeAsyncIterator().handle === sequence.handle)
  }

  @Test func negativeTimeoutIsAMistakeOfTheCaller() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = asCompleted([Future<Int>()], timeout: .seconds(-1))
    }
    expectMessage(result, "timeout must not be negative")
  }
}
