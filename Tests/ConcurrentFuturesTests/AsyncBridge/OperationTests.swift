import Testing

@testable import ConcurrentFutures

// The label is written out: `@testable` code also sees the internal `init(body:)`, which a plain `Future { 1 }` would mean.

/// `Future(operation:)`: from async code to a future.
@Suite struct OperationTests {
  enum Local { @TaskLocal static var name = "none" }

  @Test func operationEndsItsFuture() async throws {
    #expect(try await Future(operation: { 5 }).value == 5)
    let failed = Future<Int>(operation: { throw TestError(1) })
    await #expect(throws: TestError(1)) { try await failed.value }
    #expect(!failed.isCancelled)
    #expect(try await onThread { try Future(operation: { await Task { 6 }.value }).wait() } == 6)
  }

  @Test func operationRunsFromTheStart() async throws {
    let go = Gate()
    let future = Future<Int>(operation: {
      await go.wait()
      return 1
    })
    #expect(future.isRunning)
    go.open()
    #expect(try await future.value == 1)
  }

  @Test func operationSeesTheCallersTaskLocalValuesAndPriority() async throws {
    let seen = try await Local.$name.withValue("mine") {
      try await Future(operation: { (Local.name, Task.currentPriority) }).value
    }
    #expect(seen.0 == "mine")
    let background = Future(priority: .background, operation: { Task.basePriority })
    // Nobody waits for it in a Task, which would raise the current priority.
    await eventually { background.isDone }
    #expect(background.valueIfDone == .background)
  }

  @Test func cancellingTheFutureEndsItAtOnceAndCancelsTheTask() async {
    let (started, go, seen) = (Gate(), Gate(), Gate())
    let future = Future<Int>(operation: {
      started.open()
      await go.wait()
      if Task.isCancelled { seen.open() }
      return 1
    })
    await started.wait()
    #expect(future.cancel())
    #expect(future.isCancelled)
    go.open()
    await seen.wait()
    #expect(future.cancel())
    #expect(future.isCancelled)
  }

  @Test func cancelledFutureWhoseOperationThrowsStaysCancelled() async {
    let (started, thrown) = (Gate(), Gate())
    let future = Future<Int>(operation: {
      defer { thrown.open() }
      started.open()
      await untilCancelled()
      throw TestError()
    })
    await started.wait()
    #expect(future.cancel())
    await thrown.wait()
    await #expect(throws: CancellationError.self) { try await future.value }
    #expect(future.isCancelled)
  }

  @Test func operationThatThrowsCancellationErrorFails() async {
    let future = Future<Int>(operation: { throw CancellationError() })
    await #expect(throws: CancellationError.self) { try await future.value }
    #expect(future.state == .finished)
  }

  @Test func cancellingAMapOfItCancelsTheTask() async {
    let (started, cancelled) = (Gate(), Gate())
    let future = Future<Int>(operation: {
      await withTaskCancellationHandler {
        started.open()
        await cancelled.wait()
        return 1
      } onCancel: {
        cancelled.open()
      }
    })
    await started.wait()
    future.map { $0 }.cancel()
    #expect(future.isCancelled)
    await cancelled.wait()
  }

  @Test func capturesAreReleased() async throws {
    let live = LiveCount()
    do {
      let probe = live.probe()
      let future = Future(operation: { probe.touch() })
      try await future.value
    }
    await eventually { live.count == 0 }
    do {
      let gate = Gate()
      let probe = live.probe()
      let future = Future(operation: {
        await gate.wait()
        probe.touch()
      })
      future.cancel()
      gate.open()
    }
    await eventually { live.count == 0 }
  }
}
