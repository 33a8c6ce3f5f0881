import Synchronization
import Testing

@testable import ConcurrentFutures

/// Many futures, many threads, and every callback counted.
@Suite(.serialized) struct StressTests {
  @Test func everyCallbackOfManyFuturesRunsOnce() async throws {
    let count = stress(100_000)
    let futures = (0..<count).map { _ in Future<Int>() }
    let (early, late, mapped) = (CallCounts(count), CallCounts(count), CallCounts(count))
    let ends = Tally()
    for (index, future) in futures.enumerated() {
      future.addDoneCallback { _ in early.called(index) }
      if index % 10 == 0 { future.map { $0 + 1 }.addDoneCallback { _ in mapped.called(index) } }
    }
    _ = try await onThreads(4) { thread in
      for step in 0..<count {
        // Two threads go up, two go down; all meet in the middle.
        let index = thread % 2 == 0 ? step : count - 1 - step
        let future = futures[index]
        switch thread {
        case 0: if future.complete(with: .success(index)) { ends.add() }
        case 1: if (try? future.setError(TestError(index))) != nil { ends.add() }
        case 2:
          // True also where another cancelled it: nobody else does.
          if future.cancel() { ends.add() }
        default: future.addDoneCallback { _ in late.called(index) }
        }
      }
    }
    #expect(ends.count == count)
    #expect(early.all == 1)
    #expect(late.all == 1)
    #expect(mapped.total == count / 10)
  }

  private let rounds = stress(20_000)

  @Test func cancelAgainstComplete() async throws {
    try await race(
      rounds: rounds, prepare: { _ in Subject() },
      [
        { if $0.future.complete(with: .success("the value, which is too long to be inline")) { $0.wins.add() } },
        { if $0.future.cancel() { $0.wins.add(100) } },
      ]
    ) { round, subject in
      #expect(subject.wins.count == (subject.future.isCancelled ? 100 : 1), "round \(round)")
      #expect(subject.calls.count == 1, "round \(round)")
    }
  }

  @Test func addAgainstComplete() async throws {
    try await race(
      rounds: rounds, prepare: { _ in Subject() },
      [
        { $0.future.complete(with: .failure(TestError())) },
        { subject in for _ in 0..<3 { subject.future.addDoneCallback { _ in subject.calls.add() } } },
        { subject in for _ in 0..<3 { subject.future.addDoneCallback { _ in subject.calls.add() } } },
      ]
    ) { round, subject in
      #expect(subject.calls.count == 7, "round \(round)")
      #expect(!subject.future.hasRegistrations)
    }
  }

  @Test func callbacksAddedByOneThreadStayInOrderWhileAnotherCompletes() async throws {
    try await race(
      rounds: rounds, prepare: { _ in (Future<Int>(), Log<Int>()) },
      [
        { $0.0.complete(with: .success(1)) },
        { subject in for index in 0..<4 { subject.0.addDoneCallback { _ in subject.1.append(index) } } },
      ]
    ) { round, subject in #expect(subject.1.entries == [0, 1, 2, 3], "round \(round)") }
  }

  @Test func removeAgainstComplete() async throws {
    try await race(
      rounds: rounds,
      prepare: { round -> Subject in
        // The token's registration is in the slot, first in the list, or last in it.
        let subject = Subject(callbacks: round % 3)
        subject.token.withLock { $0 = subject.future.addDoneCallback { _ in subject.removable.add() } }
        subject.future.addDoneCallback { _ in subject.calls.add() }
        return subject
      },
      [
        { $0.future.complete(with: .success("")) },
        { subject in
          let token = subject.token.withLock { $0! }
          if subject.future.removeDoneCallback(token) { subject.wins.add() }
        },
      ]
    ) { round, subject in
      #expect(subject.removable.count + subject.wins.count == 1, "round \(round)")
      #expect(subject.calls.count == round % 3 + 1, "round \(round)")
      subject.token.withLock { $0 = nil }
    }
  }

  @Test func waitAgainstComplete() async throws {
    try await race(
      rounds: rounds, prepare: { _ in Subject() },
      [
        { $0.future.complete(with: .success("x")) },
        { if (try? $0.future.wait()) == "x" { $0.wins.add() } },
        { if (try? $0.future.wait(timeout: .seconds(patience))) == "x" { $0.wins.add() } },
      ]
    ) { round, subject in #expect(subject.wins.count == 2, "round \(round)") }
  }

  @Test func waitsThatTimeOutAgainstComplete() async throws {
    try await race(
      rounds: rounds / 3, prepare: { _ in Subject() },
      [
        { subject in
          for _ in 0..<200 { _ = subject.future.state }
          subject.future.complete(with: .success("x"))
        },
        { subject in
          do {
            _ = try subject.future.wait(timeout: .microseconds(50))
            subject.wins.add()
          } catch {
            if error is TimeoutError { subject.wins.add() }
          }
        },
      ]
    ) { round, subject in
      #expect(subject.wins.count == 1, "round \(round)")
      #expect(!subject.future.hasRegistrations)
    }
  }

  @Test func taskCancellationAgainstComplete() async throws {
    for round in 0..<rounds / 5 {
      let future = Future<Int>()
      let task = Task { try await future.value }
      let limited = Task { try await future.value(within: .microseconds(20)) }
      if round % 2 == 0 { await Task.yield() }
      async let completed = future.complete(with: .success(1))
      task.cancel()
      #expect(await completed)
      switch await task.result {
      case .success(let value): #expect(value == 1)
      case .failure(let error): #expect(error is CancellationError)
      }
      switch await limited.result {
      case .success(let value): #expect(value == 1)
      case .failure(let error): #expect(error is TimeoutError)
      }
      #expect(future.valueIfDone == 1)
      #expect(!future.hasRegistrations)
    }
  }

  @Test func bodyAgainstComplete() async throws {
    let live = LiveCount()
    try await race(
      rounds: rounds,
      prepare: { _ -> Future<String> in
        let probe = live.probe()
        return Future<String>(body: {
          probe.touch()
          return "made by the body, and longer than sixteen bytes"
        })
      },
      [
        { $0.runBody() },
        { future in
          future.complete(with: .success("made by another, and longer than sixteen bytes"))
          future.cancel()
        },
      ]
    ) { round, future in
      #expect(future.isDone, "round \(round)")
      if let value = future.valueIfDone { #expect(value.hasPrefix("made by")) }
    }
    #expect(live.count == 0)
    #expect(live.total == rounds)
  }

  @Test func readersSeeWholeValues() async throws {
    try await race(
      rounds: rounds, prepare: { _ in Future<[Int]>() },
      [
        { $0.complete(with: .success([1, 2, 3])) },
        { future in
          for _ in 0..<50 { if let value = future.valueIfDone { #expect(value == [1, 2, 3]) } }
        },
        { future in
          future.map { $0.count }.addDoneCallback { #expect($0.valueIfDone == 3) }
        },
      ]
    ) { _, future in #expect(future.isDone) }
  }

  @Test func cancelOfAChainAgainstItsCompletion() async throws {
    try await race(
      rounds: rounds,
      prepare: { _ -> (Future<Int>, Future<Int>, Future<Int>) in
        let source = Future<Int>()
        let inner = Future<Int>()
        return (source, inner, source.flatMap { _ in inner }.map { $0 }.recover { _ in -1 })
      },
      [
        { $0.0.complete(with: .success(1)) },
        { $0.1.complete(with: .success(2)) },
        { $0.2.cancel() },
      ]
    ) { round, subject in
      #expect(subject.0.isDone && subject.1.isDone && subject.2.isDone, "round \(round)")
    }
  }

  @Test func gatherAgainstCancelAndErrors() async throws {
    try await race(
      rounds: rounds / 3, prepare: { _ in Gathering() },
      [
        { gathering in for future in gathering.futures { future.complete(with: .success(1)) } },
        { $0.futures[2].complete(with: .failure(TestError())) },
        { $0.outer.cancel() },
      ]
    ) { round, gathering in
      #expect(gathering.outer.isDone, "round \(round)")
      #expect(gathering.calls.count == 1, "round \(round)")
      #expect(gathering.futures.allSatisfy { $0.isDone })
    }
  }

  private final class Gathering: Sendable {
    let futures = (0..<4).map { _ in Future<Int>() }
    let outer: Future<[Int]>
    let calls = Tally()
    init() {
      outer = gather(futures)
      outer.addDoneCallback { [calls] _ in calls.add() }
    }
  }

  @Test func abandonedIterationAgainstCompletion() async throws {
    try await race(
      rounds: rounds / 3, prepare: { _ in (0..<4).map { _ in Future<Int>() } },
      [
        { futures in for future in futures { future.complete(with: .success(1)) } },
        { futures in for _ in asCompleted(futures) { break } },
        { futures in _ = wait(futures, returnWhen: .firstCompleted) },
      ]
    ) { round, futures in
      #expect(futures.allSatisfy { !$0.hasRegistrations }, "round \(round)")
    }
  }

  /// What one round of a race works on.
  private final class Subject: Sendable {
    let future = Future<String>()
    let (wins, calls, removable) = (Tally(), Tally(), Tally())
    let token = Mutex<DoneCallbackToken?>(nil)

    init(callbacks: Int = 1) {
      for _ in 0..<callbacks { future.addDoneCallback { [calls] _ in calls.add() } }
    }
  }

  /// How often each of many callbacks was called.
  private final class CallCounts: Sendable {
    private let counts: [Tally]
    init(_ count: Int) { counts = (0..<count).map { _ in Tally() } }
    func called(_ index: Int) { counts[index].add() }
    var total: Int { counts.reduce(0) { $0 + $1.count } }
    /// The count that all have; nil where they differ.
    var all: Int? { Set(counts.map(\.count)).count == 1 ? counts[0].count : nil }
  }
}
