import Testing

@testable import ConcurrentFutures

/// Done callbacks: order, exactly once, removal.
@Suite struct CallbackTests {
  enum End: CaseIterable {
    case value, error, cancellation

    func apply(to future: Future<Int>) {
      switch self {
      case .value: future.complete(with: .success(1))
      case .error: future.complete(with: .failure(TestError()))
      case .cancellation: future.cancel()
      }
    }
  }

  @Test(arguments: End.allCases) func callbacksRunOnceInOrderOfRegistration(end: End) {
    let future = Future<Int>()
    let log = Log<Int>()
    for index in 0..<20 {
      future.addDoneCallback {
        #expect($0 === future)
        #expect($0.isDone)
        log.append(index)
      }
    }
    #expect(log.count == 0)
    end.apply(to: future)
    #expect(log.entries == Array(0..<20))
    end.apply(to: future)
    future.cancel()
    #expect(log.count == 20)
  }

  @Test(arguments: End.allCases) func callbackOfADoneFutureRunsAtOnceInTheAddingThread(end: End) {
    let future = Future<Int>()
    end.apply(to: future)
    let log = Log<UInt>()
    future.addDoneCallback { _ in log.append(currentThread()) }
    #expect(log.entries == [currentThread()])
  }

  @Test func callbacksRunInTheCompletingThread() async throws {
    let future = Future<Int>()
    let log = Log<UInt>()
    for _ in 0..<3 { future.addDoneCallback { _ in log.append(currentThread()) } }
    let completing = try await onThread {
      future.complete(with: .success(1))
      return currentThread()
    }
    #expect(log.entries == [completing, completing, completing])
  }

  @Test func callbackThatAddsCallbacksSeesThemRunAfterTheOthers() {
    let future = Future<Int>()
    let log = Log<String>()
    future.addDoneCallback { future in
      log.append("a")
      future.addDoneCallback { future in
        log.append("c")
        future.addDoneCallback { _ in log.append("d") }
        log.append("c ends")
      }
      log.append("a ends")
    }
    future.addDoneCallback { _ in log.append("b") }
    future.complete(with: .success(1))
    #expect(log.entries == ["a", "a ends", "b", "c", "c ends", "d"])
  }

  @Test func onlyCallbackThatAddsACallbackSeesItRunAfterItself() {
    let future = Future<Int>()
    let log = Log<String>()
    future.addDoneCallback { future in
      future.addDoneCallback { _ in log.append("second") }
      log.append("first")
    }
    future.cancel()
    #expect(log.entries == ["first", "second"])
  }

  @Test func callbackAddedWhileAnotherRunsWaitsForItAndRunsInItsThread() async throws {
    let future = Future<Int>()
    let (inside, go) = (Gate(), Gate())
    let log = Log<String>()
    let threads = Log<UInt>()
    future.addDoneCallback { _ in
      inside.open()
      go.pass()
      log.append("first")
      threads.append(currentThread())
    }
    async let completing = onThread { future.complete(with: .success(1)) }
    await inside.wait()
    for index in 0..<3 {
      future.addDoneCallback { _ in
        log.append("added \(index)")
        threads.append(currentThread())
      }
    }
    #expect(log.count == 0)
    #expect(future.isDone)
    go.open()
    #expect(try await completing)
    #expect(log.entries == ["first", "added 0", "added 1", "added 2"])
    #expect(Set(threads.entries).count == 1)
  }

  @Test func callbackMayCompleteOtherFutures() {
    let futures = (0..<100).map { _ in Future<Int>() }
    for (future, next) in zip(futures, futures.dropFirst()) {
      future.addDoneCallback { next.complete(with: $0.resultIfDone!) }
    }
    futures[0].complete(with: .success(9))
    #expect(futures.allSatisfy { $0.valueIfDone == 9 })
  }

  @Test func callbackMayTryToEndItsOwnFutureInVain() {
    let future = Future<Int>()
    future.addDoneCallback {
      #expect(!$0.complete(with: .success(2)))
      #expect(!$0.cancel())
      #expect(throws: InvalidStateError.self) { try future.setResult(3) }
    }
    future.complete(with: .success(1))
    #expect(future.valueIfDone == 1)
  }

  // MARK: removal

  @Test(arguments: 0..<5, End.allCases) func removedCallbackIsNotCalledAndTheOthersAre(position: Int, end: End) {
    let future = Future<Int>()
    let log = Log<Int>()
    let tokens = (0..<5).map { index in future.addDoneCallback { _ in log.append(index) } }
    #expect(future.removeDoneCallback(tokens[position]))
    #expect(!future.removeDoneCallback(tokens[position]))
    end.apply(to: future)
    #expect(log.entries == (0..<5).filter { $0 != position })
    for token in tokens { #expect(!future.removeDoneCallback(token)) }
  }

  @Test func orderHoldsWhenCallbacksComeAndGo() {
    let future = Future<Int>()
    let log = Log<String>()
    let a = future.addDoneCallback { _ in log.append("a") }
    let b = future.addDoneCallback { _ in log.append("b") }
    #expect(future.removeDoneCallback(a))
    let c = future.addDoneCallback { _ in log.append("c") }
    #expect(future.removeDoneCallback(b))
    future.addDoneCallback { _ in log.append("d") }
    #expect(future.removeDoneCallback(c))
    future.addDoneCallback { _ in log.append("e") }
    future.complete(with: .success(1))
    #expect(log.entries == ["d", "e"])
  }

  @Test func tokenOfAnotherFutureRemovesNothing() {
    let future = Future<Int>()
    let other = Future<Int>()
    let log = Log<Int>()
    for index in 0..<3 { future.addDoneCallback { _ in log.append(index) } }
    for index in 0..<3 {
      let foreign = other.addDoneCallback { _ in log.append(10 + index) }
      #expect(!future.removeDoneCallback(foreign))
    }
    future.complete(with: .success(1))
    other.complete(with: .success(1))
    #expect(log.entries == [0, 1, 2, 10, 11, 12])
  }

  @Test func oldTokenOfTheSlotRemovesNothingHoweverManyCame() {
    let future = Future<Int>()
    let stale = future.addDoneCallback { _ in }
    future.removeDoneCallback(stale)
    for _ in 1..<65_536 { future.removeDoneCallback(future.addDoneCallback { _ in }) }
    future.addDoneCallback { _ in }
    let removed = future.removeDoneCallback(stale)
    #expect(!removed)
  }

  @Test func tokenOfAFutureThatIsGoneRemovesNothing() {
    var removed = 0
    for _ in 0..<100 {
      let stale = Future<Int>().addDoneCallback { _ in }
      // Has the same address, as a rule.
      let future = Future<Int>()
      future.addDoneCallback { _ in }
      if future.removeDoneCallback(stale) { removed += 1 }
    }
    #expect(removed == 0)
  }

  @Test func oldTokenDoesNotRemoveAnObserver() {
    let future = Future<Int>()
    let stale = future.addDoneCallback { _ in }
    future.removeDoneCallback(stale)
    let all = gather([future])
    let removed = future.removeDoneCallback(stale)
    #expect(!removed)
    future.complete(with: .success(1))
    #expect(all.valueIfDone == [1])
  }

  @Test func oldTokenOfTheSlotDoesNotRemoveItsSuccessor() {
    let future = Future<Int>()
    let log = Log<Int>()
    let old = future.addDoneCallback { _ in log.append(0) }
    #expect(future.removeDoneCallback(old))
    let new = future.addDoneCallback { _ in log.append(1) }
    #expect(old != new)
    #expect(!future.removeDoneCallback(old))
    future.complete(with: .success(1))
    #expect(log.entries == [1])
  }

  @Test func tokensAreHashable() {
    let future = Future<Int>()
    let tokens = (0..<3).map { _ in future.addDoneCallback { _ in } }
    #expect(Set(tokens + tokens).count == 3)
  }

  @Test func tokenOfACallbackThatWasCalledAtOnceRemovesNothing() {
    let future = Future.succeeded(1)
    let log = Log<Int>()
    let token = future.addDoneCallback { _ in log.append(0) }
    #expect(!future.removeDoneCallback(token))
    #expect(log.entries == [0])
  }

  @Test func callbackThatIsQueuedCanBeRemovedByTheOneThatRuns() {
    let future = Future<Int>()
    let log = Log<Int>()
    let tokens = Log<DoneCallbackToken>()
    tokens.append(
      future.addDoneCallback { future in
        log.append(0)
        #expect(!future.removeDoneCallback(tokens.entries[0]))
        #expect(future.removeDoneCallback(tokens.entries[2]))
        #expect(future.removeDoneCallback(tokens.entries[3]))
      })
    for index in 1..<4 { tokens.append(future.addDoneCallback { _ in log.append(index) }) }
    future.complete(with: .success(1))
    #expect(log.entries == [0, 1])
  }

  @Test func callbackThatIsQueuedCanBeRemovedByAnotherThread() async throws {
    let future = Future<Int>()
    let (inside, go) = (Gate(), Gate())
    let log = Log<Int>()
    let running = future.addDoneCallback { _ in
      inside.open()
      go.pass()
      log.append(0)
    }
    let queued = future.addDoneCallback { _ in log.append(1) }
    async let completing = onThread { future.complete(with: .success(1)) }
    await inside.wait()
    let late = future.addDoneCallback { _ in log.append(2) }
    #expect(!future.removeDoneCallback(running))
    #expect(future.removeDoneCallback(queued))
    #expect(future.removeDoneCallback(late))
    go.open()
    _ = try await completing
    #expect(log.entries == [0])
  }
}
