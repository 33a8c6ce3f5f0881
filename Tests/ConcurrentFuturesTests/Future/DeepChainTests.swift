import Testing

@testable import ConcurrentFutures

/// Chains and lists of any length are completed and released with a constant amount of stack.
@Suite struct DeepChainTests {
  @Test func millionMapsComplete() async throws {
    try await onThread {
      let first = Future<Int>()
      var last = first
      for _ in 0..<stress(1_000_000) { last = last.map { $0 + 1 } }
      first.complete(with: .success(0))
      #expect(last.valueIfDone == stress(1_000_000))
    }
  }

  /// A gather counts what ends in the thread that ends it, and is a delivery itself only when it ends.
  @Test(arguments: [false, true])
  func chainOfGathersCompletes(fails: Bool) async throws {
    try await onThread {
      let first = Future<Int>()
      let other = Future<Int>()
      var last = first
      for _ in 0..<stress(100_000) { last = gather([last, other]).map { $0[0] } }
      // Without anything in between that is a delivery in any case.
      var nested: Future<Void> = gather([first]).map { _ in }
      for _ in 0..<stress(100_000) {
        let producer = CountdownProducer()
        let outer = Future<Void>(producer: producer)
        let countdown = Countdown([nested], finish: { outer.complete(with: .success(())) })
        producer.watch(countdown)
        countdown.start()
        nested = outer
      }
      other.complete(with: .success(0))
      #expect(!last.isDone && !nested.isDone)
      first.complete(with: fails ? .failure(TestError()) : .success(7))
      if fails {
        #expect(last.errorIfDone is TestError)
      } else {
        #expect(last.valueIfDone == 7)
      }
      #expect(nested.isDone)
    }
  }

  @Test func mixedChainOfFlatMapsMapsAndRecoversCompletes() async throws {
    try await onThread {
      let first = Future<Int>()
      var last = first
      for index in 0..<stress(100_000) {
        switch index % 4 {
        case 0: last = last.map { $0 + 1 }
        case 1: last = last.flatMap { .succeeded($0 + 1) }
        case 2: last = last.map { _ in throw TestError(index) }
        default: last = last.recover { _ in index }
        }
      }
      first.complete(with: .success(0))
      #expect(last.valueIfDone == stress(100_000) - 1)
    }
  }

  @Test func flatMapsThatWaitForOneAnotherComplete() async throws {
    try await onThread {
      let inner = (0..<stress(50_000)).map { _ in Future<Int>() }
      let first = Future<Int>()
      var last = first
      for future in inner { last = last.flatMap { sum in future.map { sum + $0 } } }
      first.complete(with: .success(0))
      for future in inner { future.complete(with: .success(1)) }
      #expect(last.valueIfDone == stress(50_000))
    }
  }

  @Test func errorGoesThroughALongChain() async throws {
    try await onThread {
      let first = Future<Int>()
      var last = first
      for _ in 0..<stress(300_000) { last = last.map { $0 } }
      first.complete(with: .failure(TestError(1)))
      #expect(throws: TestError(1)) { try last.resultIfDone?.get() }
    }
  }

  @Test func cancellingTheEndOfALongChainCancelsItsStart() async throws {
    try await onThread {
      let first = Future<Int>()
      var all = [first]
      for _ in 0..<stress(100_000) { all.append(all.last!.map { $0 }) }
      #expect(all.last!.cancel())
      #expect(first.isCancelled)
      #expect(all.allSatisfy { $0.isCancelled })
    }
  }

  @Test func cancellingTheStartOfALongChainCancelsItsEnd() async throws {
    try await onThread {
      let first = Future<Int>()
      var last = first
      for _ in 0..<stress(100_000) { last = last.map { $0 } }
      first.cancel()
      #expect(last.isCancelled)
    }
  }

  @Test func droppedPendingChainIsReleased() async throws {
    let live = LiveCount()
    try await onThread {
      let probe = live.probe()
      let first = Future<Int>()
      var last = first
      for _ in 0..<stress(300_000) {
        last = last.map {
          probe.touch()
          return $0
        }
      }
    }
    #expect(live.count == 0)
  }

  @Test func droppedChainOfValuesIsReleased() async throws {
    final class Node: Sendable {
      let next: Future<Node>?
      let probe: LeakProbe
      init(_ next: Future<Node>?, _ probe: LeakProbe) {
        self.next = next
        self.probe = probe
      }
    }
    let live = LiveCount()
    try await onThread {
      var head: Future<Node>?
      for _ in 0..<stress(300_000) { head = .succeeded(Node(head, live.probe())) }
      #expect(live.count == stress(300_000))
      head = nil
      #expect(live.count == 0)
    }
  }

  @Test func droppedChainOfGathersIsReleased() async throws {
    let live = LiveCount()
    try await onThread {
      let first = Future<Int>()
      first.addDoneCallback { [probe = live.probe()] _ in probe.touch() }
      var last = first
      for _ in 0..<stress(50_000) { last = gather([last, .succeeded(1)]).map { $0[0] } }
      first.complete(with: .success(3))
      #expect(last.valueIfDone == 3)
    }
    #expect(live.count == 0)
  }

  @Test func longListOfCallbacksIsDeliveredInOrder() async throws {
    try await onThread {
      let future = Future<Int>()
      let log = Log<Int>()
      for index in 0..<stress(100_000) { future.addDoneCallback { _ in log.append(index) } }
      future.complete(with: .success(1))
      #expect(log.entries == Array(0..<stress(100_000)))
    }
  }

  @Test func longListOfCallbacksIsReleasedWithItsFuture() async throws {
    let live = LiveCount()
    try await onThread {
      let future = Future<Int>()
      for _ in 0..<stress(100_000) {
        let probe = live.probe()
        future.addDoneCallback { _ in probe.touch() }
      }
      #expect(live.count == stress(100_000))
    }
    #expect(live.count == 0)
  }

  @Test func deepestCallbackRunsAlthoughItsDeliveryWasPutOff() async throws {
    try await onThread {
      let futures = (0..<1000).map { _ in Future<Int>() }
      let log = Log<Int>()
      for (index, future) in futures.enumerated() {
        future.addDoneCallback { _ in
          if index + 1 < futures.count { futures[index + 1].complete(with: .success(1)) }
          log.append(index)
        }
        future.addDoneCallback { _ in log.append(1000 + index) }
      }
      futures[0].complete(with: .success(1))
      #expect(Set(log.entries).count == 2000)
      #expect(log.count == 2000)
      // For each future, in the order of registration.
      for index in 0..<1000 {
        let first = log.entries.firstIndex(of: index)!
        let second = log.entries.firstIndex(of: 1000 + index)!
        #expect(first < second)
      }
    }
  }

  /// The delivery of the twentieth future is put off until the stack has unwound; its waiter must not be.
  @Test func waiterOfADeepFutureIsNotPutOff() async throws {
    let futures = (0..<17).map { _ in Future<Int>() }
    let woken = Gate()
    let depth = 17
    for index in 0..<depth - 1 {
      futures[index].addDoneCallback { _ in
        futures[index + 1].complete(with: .success(1))
        // The outermost callback waits for the thread that waits for the innermost future.
        if index == 0 { woken.pass() }
      }
    }
    async let waiting: Void = onThread {
      _ = try futures[depth - 1].wait()
      woken.open()
    }
    await eventually { futures[depth - 1].hasRegistrations }
    try await onThread { _ = futures[0].complete(with: .success(1)) }
    try await waiting
  }

  @Test(arguments: [nil, Duration.seconds(patience)])
  func deepCallbackMayWaitForWhatItEnds(timeout: Duration?) async throws {
    let values = try await onThread {
      let values = Log<Int?>()
      let futures = (0..<40).map { _ in Future<Int>() }
      for index in futures.indices.dropLast() {
        let inner = Future<Int>()
        let derived = inner.map { $0 + 1 }
        futures[index].addDoneCallback { _ in
          inner.complete(with: .success(index))
          values.append(try? derived.wait(timeout: timeout))
          futures[index + 1].complete(with: .success(1))
        }
      }
      futures[0].complete(with: .success(1))
      return values.entries
    }
    #expect(values == (0..<39).map { $0 + 1 })
  }

  /// What was put off may take longer than the limit allows: another thread runs it.
  @Test func deepCallbackThatWaitsForALimitedTimeReturnsInTime() async throws {
    let isOver = try await onThread {
      let isOver = Gate()
      let futures = (0..<30).map { _ in Future<Int>() }
      for index in futures.indices.dropLast() {
        futures[index].addDoneCallback { _ in futures[index + 1].complete(with: .success(1)) }
      }
      let never = Future<Int>()
      let slow = Future<Bool>()
      // So deep that the delivery of the next future is put off by this thread, which then waits.
      futures[12].addDoneCallback { _ in
        #expect(throws: TimeoutError.self) { try never.wait(timeout: .milliseconds(5)) }
        isOver.open()
      }
      futures[25].addDoneCallback { _ in slow.complete(with: .success(isOver.pass())) }
      futures[0].complete(with: .success(1))
      return try slow.wait()
    }
    #expect(isOver)
  }
}
