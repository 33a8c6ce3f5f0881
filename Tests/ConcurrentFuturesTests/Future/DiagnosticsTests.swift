import Testing

@testable import ConcurrentFutures

/// Reports of mistakes. Each test sets a hook of the whole process, so that it has a process of its own.
@Suite struct DiagnosticsTests {
  @Test func failureThatNobodyLookedAtIsReported() async {
    await #expect(processExitsWith: .success) {
      let reports = Log<FutureDiagnostics.UnobservedFailure>()
      FutureDiagnostics.onUnobservedFailure { reports.append($0) }
      do { _ = Future<Int>.failed(TestError(7)) }
      #expect(reports.count == 1)
      #expect(reports.entries.first?.error as? TestError == TestError(7))
      #expect(reports.entries.first?.future == "Future<Int>(failed: TestError(id: 7))")
      do {
        let future = Future<Int>()
        future.complete(with: .failure(TestError(8)))
        // Neither of these looks at the error.
        _ = (future.state, future.isDone, future.description)
        future.addDoneCallback { _ in }
      }
      #expect(reports.count == 2)
      // A chain that ends unseen is reported once, at its end.
      do { _ = Future<Int>.failed(TestError(9)).map { $0 }.map { $0 } }
      #expect(reports.count == 3)
      FutureDiagnostics.onUnobservedFailure(nil)
      do { _ = Future<Int>.failed(TestError(10)) }
      #expect(reports.count == 3)
    }
  }

  @Test func failureThatSomebodyLookedAtIsNotReported() async {
    await #expect(processExitsWith: .success) {
      let reports = Log<String>()
      FutureDiagnostics.onUnobservedFailure { reports.append($0.future) }
      @Sendable func failed() -> Future<Int> { .failed(TestError()) }
      _ = failed().resultIfDone
      _ = try? await failed().value
      _ = await failed().result
      _ = try? await failed().value(within: .seconds(1))
      _ = try? await onThread { _ = try failed().wait() }
      _ = failed().recover { _ in 1 }
      _ = failed().map { $0 }.errorIfDone
      _ = failed().shielded().errorIfDone
      // Only the error that ended it: gather does not wait for its siblings.
      _ = gather([failed(), .succeeded(1)]).errorIfDone
      _ = gatherResults([failed()]).valueIfDone
      _ = firstCompleted(of: [failed()]).errorIfDone
      _ = firstSucceeded(of: [failed(), .succeeded(1)])
      failed().addDoneCallback { _ = $0.resultIfDone }
      // Also a sibling's that fails later.
      let sibling = Future<Int>()
      _ = gather([failed(), sibling, failed()]).errorIfDone
      sibling.complete(with: .failure(TestError()))
      // Waited for before it failed, too.
      let later = Future<Int>()
      async let waiting = later.result
      await eventually { later.hasRegistrations }
      later.complete(with: .failure(TestError()))
      _ = await waiting
      #expect(reports.entries == [])
    }
  }

  @Test func onlyFailuresAreReported() async {
    await #expect(processExitsWith: .success) {
      let reports = Log<String>()
      FutureDiagnostics.onUnobservedFailure { reports.append($0.future) }
      do {
        let cancelled = Future<Int>()
        cancelled.cancel()
        _ = Future<Int>()
        _ = Future.succeeded(1)
        let late = Future.succeeded(1)
        late.complete(with: .failure(TestError()))
      }
      #expect(reports.entries == [])
    }
  }

  @Test func blockingWaitInsideATaskIsToldToTheHandlerEachTime() async {
    await #expect(processExitsWith: .success) {
      let (messages, waited) = (Log<String>(), Log<Future<Int>>())
      FutureDiagnostics.onBlockingWaitInTask { message in
        messages.append(message)
        for future in waited.entries { future.complete(with: .success(0)) }
      }
      // A synchronous function in between hides the wait from the compiler.
      @Sendable func hidden(_ future: Future<Int>) {
        waited.append(future)
        _ = try? future.wait(timeout: .seconds(patience))
      }
      for _ in 0..<2 { await Task.detached { hidden(Future()) }.value }
      #expect(messages.count == 2)
      #expect(messages.entries.first?.contains("a blocking wait() runs inside a Task") == true)
      #expect(messages.entries.first?.contains("try await future.value") == true)
      // What does not block, and what blocks elsewhere, is nobody's business.
      await Task.detached { hidden(.succeeded(1)) }.value
      try? await onThread { _ = try? Future<Int>().wait(timeout: .milliseconds(1)) }
      #expect(messages.count == 2)
    }
  }

  @Test func blockingCombinatorInsideATaskIsTold() async {
    await #expect(processExitsWith: .success) {
      let messages = Log<String>()
      let future = Future<Int>()
      FutureDiagnostics.onBlockingWaitInTask { message in
        messages.append(message)
        future.complete(with: .success(0))
      }
      @Sendable func hidden() { _ = wait([future], timeout: .seconds(patience)) }
      await Task.detached { hidden() }.value
      #expect(messages.count == 1)
    }
  }

  @Test func blockingWaitInsideATaskIsPrintedOnceWithoutAHandler() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      @Sendable func hidden() { _ = try? Future<Int>().wait(timeout: .milliseconds(200)) }
      for _ in 0..<3 { await Task.detached { hidden() }.value }
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.split(separator: "\n").count { $0.contains("a blocking wait() runs inside a Task") } == 1)
  }
}
