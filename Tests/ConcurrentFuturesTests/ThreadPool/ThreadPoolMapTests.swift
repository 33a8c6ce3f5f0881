import Foundation
import FuturesTestLibc
import Synchronization
import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolMapTests {
  @Test(arguments: [1, 3, 7, 100, 1_000]) func mapKeepsTheOrder(chunkSize: Int) async throws {
    let pool = ThreadPool(maxWorkers: 3)
    #expect(try await pool.map(0..<100, chunkSize: chunkSize) { $0 * 2 }.value == (0..<100).map { $0 * 2 })
    #expect(try await pool.map([Int](), chunkSize: chunkSize) { $0 }.value == [])
    await pool.shutdown()
  }

  @Test func chunksAreOfTheGivenSize() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let blockade = await Blockade(pool, 1)
    let future = pool.map(0..<10, chunkSize: 4) { $0 }
    #expect(pool.statistics.queued == 3)
    try await blockade.end()
    #expect(try await future.value == Array(0..<10))
    await pool.shutdown()
  }

  @Test(arguments: [1, 5]) func firstErrorKeepsTheRestFromStarting(chunkSize: Int) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let started = Tally()
    // What runs while the rest is still being submitted keeps nothing from starting.
    let blockade = await Blockade(pool, 1)
    let future = pool.map(0..<100, chunkSize: chunkSize) { element in
      started.add()
      if element == 3 { throw TestError(element) }
    }
    try await blockade.end()
    await #expect(throws: TestError(3)) { try await future.value }
    await pool.shutdown()
    #expect(started.count == 4)
  }

  @Test(arguments: [1, 5]) func cancellingKeepsUnstartedElementsFromStarting(chunkSize: Int) async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let started = Tally()
    let gate = Gate()
    let future = pool.map(0..<100, chunkSize: chunkSize) { _ in
      started.add()
      gate.pass()
    }
    await eventually { started.count == 2 }
    #expect(future.cancel())
    gate.open()
    await pool.shutdown()
    #expect(started.count == 2, "a chunk stops before its next element")
    #expect(future.isCancelled)
  }
}

/// Counts what is taken from it.
private struct Counted: Sequence, IteratorProtocol, Sendable {
  let taken: Tally
  var remaining: Int
  mutating func next() -> Int? {
    if remaining == 0 { return nil }
    remaining -= 1
    return taken.add() - 1
  }
}

@Suite struct ThreadPoolResultsTests {
  @Test(arguments: [true, false]) func everyElementHasOneResult(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 3)
    let blocking = try await onThread {
      var values: [Int] = []
      for result in pool.results(of: 0..<500, ordered: ordered, { $0 * 3 }) { values.append(try result.get()) }
      return values
    }
    var suspending: [Int] = []
    for await result in pool.results(of: 0..<500, maxInFlight: 7, ordered: ordered, { $0 * 3 }) {
      suspending.append(try result.get())
    }
    for values in [blocking, suspending] {
      #expect((ordered ? values : values.sorted()) == (0..<500).map { $0 * 3 })
    }
    for await _ in pool.results(of: [Int](), ordered: ordered, { $0 }) { Issue.record("no element, no result") }
    await pool.shutdown()
  }

  @Test(arguments: [true, false]) func takesElementsOnlyAsResultsAreHandedOut(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let taken = Tally()
    let stream = pool.results(of: Counted(taken: taken, remaining: -1), maxInFlight: 4, ordered: ordered) { $0 }
    #expect(taken.count == 0)
    var iterator = stream.makeAsyncIterator()
    for handedOut in 1...100 {
      _ = await iterator.next()
      #expect(taken.count <= handedOut + 4)
      #expect(taken.count >= handedOut)
    }
    await pool.shutdown()
  }

  @Test func unorderedResultsComeAsTheyAreDone() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let gate = Gate()
    var iterator = pool.results(of: 0..<4, maxInFlight: 4, ordered: false) { element in
      if element == 0 { gate.pass() }
      return element
    }.makeAsyncIterator()
    var values: Set<Int> = []
    for _ in 0..<3 { values.insert(try await iterator.next()!.get()) }
    #expect(values == [1, 2, 3])
    gate.open()
    #expect(try await iterator.next()?.get() == 0)
    #expect(await iterator.next() == nil)
    await pool.shutdown()
  }

  @Test(arguments: [true, false]) func anErrorIsTheResultOfItsElement(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 2)
    var (values, errors) = (0, 0)
    for await result in pool.results(
      of: 0..<100, ordered: ordered,
      { element in
        if element.isMultiple(of: 10) { throw TestError(element) }
        return element
      })
    {
      switch result {
      case .success: values += 1
      case .failure(let error): if error is TestError { errors += 1 }
      }
    }
    #expect((values, errors) == (90, 10))
    await pool.shutdown()
  }

  @Test(arguments: [true, false]) func leavingEarlyCancelsTheRest(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let (started, taken) = (Tally(), Tally())
    let gate = Gate()
    for await _ in pool.results(
      of: Counted(taken: taken, remaining: -1), maxInFlight: 8, ordered: ordered,
      { element in
        started.add()
        if element > 0 { gate.pass() }
      })
    { break }
    gate.open()
    await pool.shutdown()
    // Never more than the limit; fewer where the first was done before so many were taken.
    #expect((1...8).contains(taken.count))
    // The second may have been on its way.
    #expect(started.count <= 2)
  }

  @Test(arguments: [true, false]) func leavingEarlyCancelsTheRestAlsoWhereTheStreamIsHeld(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let started = Tally()
    let gate = Gate()
    let stream = pool.results(of: 0..<100, maxInFlight: 10, ordered: ordered) { index -> Int in
      started.add()
      if index > 0 { gate.pass() }
      return index
    }
    for await _ in stream { break }
    gate.open()
    await pool.shutdown()
    #expect(started.count <= 2)
    for await _ in stream { Issue.record("there is nothing more") }
  }

  @Test(arguments: [true, false]) func leavingEarlyCancelsInTheOrderOfSubmission(ordered: Bool) async {
    let first = Future<Int>()
    let cancelled = Log<Int>()
    let stream = ResultStream(0..<100, maxInFlight: 100, ordered: ordered) { index -> Future<Int> in
      if index == 0 { return first }
      if index == 99 { first.complete(with: .success(0)) }
      let future = Future<Int>()
      future.addDoneCallback { _ in cancelled.append(index) }
      return future
    }
    for await _ in stream { break }
    #expect(cancelled.entries == Array(1..<100))
  }

  @Test(arguments: [true, false]) func resultsThatWereHandedOutAreNotKept(ordered: Bool) async throws {
    let live = LiveCount()
    let pool = ThreadPool(maxWorkers: 2)
    var most = 0
    for await result in pool.results(of: 0..<100, maxInFlight: 4, ordered: ordered, { _ in live.probe() }) {
      try result.get().touch()
      most = max(most, live.count)
    }
    // Those under way, the one at hand, and one that its worker is about to let go of.
    #expect(most <= 4 + 2)
    await pool.shutdown()
  }

  @Test(arguments: [true, false]) func cancellingTheTaskEndsTheLoop(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let gate = Gate()
    let started = Tally()
    let task = Task {
      var count = 0
      for await _ in pool.results(
        of: 0..<1_000, maxInFlight: 4, ordered: ordered,
        { _ in
          if started.add() > 1 { gate.pass() }
        })
      { count += 1 }
      return count
    }
    await eventually { started.count == 2 }
    task.cancel()
    #expect(await task.value <= 1)
    gate.open()
    await pool.shutdown()
    #expect(started.count == 2)
  }

  @Test func streamOfAPoolThatHasEndedGivesTheError() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    await pool.shutdown()
    for await result in pool.results(of: 0..<3, { $0 }) {
      #expect(throws: ExecutorShutDownError.self) { try result.get() }
    }
  }

  /// The limit alone would have the consumer wait for a thousand elements before it gets the first result.
  @Test(arguments: [true, false]) func resultsDoNotWaitForAProducerThatIsSlow(ordered: Bool) async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let pulled = Tally()
    let elements = SlowNumbers(pool: pool, pulled: pulled)
    var count = 0
    for await result in pool.results(of: elements, maxInFlight: 1000, ordered: ordered, { $0 }) {
      #expect(try result.get() >= 0)
      count += 1
      if count == 1 { #expect(pulled.count < 1000) }
      if count == 50 { break }
    }
    #expect(count == 50)
    await pool.shutdown()
  }
}

/// A thousand numbers that take their time: how long the stream waits for such a producer is what is tested. The pool is done
/// with those before the tenth is there.
private struct SlowNumbers: Sequence, IteratorProtocol, Sendable {
  let pool: ThreadPool
  let pulled: Tally
  var number = 0

  mutating func next() -> Int? {
    compute(for: .microseconds(300))
    pulled.add()
    number += 1
    if number == 10 { while pool.statistics.running + pool.statistics.queued > 0 { sched_yield() } }
    return number <= 1000 ? number : nil
  }
}
