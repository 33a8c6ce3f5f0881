import Testing

@testable import ConcurrentFutures

extension ProcessPools {
  /// Each test over each kind of pool.
  @Suite struct EveryExecutor {
    @Test(arguments: Executor.allCases)
    func aFutureHasTheValueOfItsTask(on executor: Executor) async throws {
      try await executor.withPool { pool in
        let doubled = try await pool.submit(Doubled(number: 21)).value
        #expect(doubled == 42)
        let doubledLater = try await pool.submit(DoubledLater(number: 4)).value
        #expect(doubledLater == 8)
      }
    }

    @Test(arguments: Executor.allCases)
    func aCodableErrorArrivesAsItself(on executor: Executor) async throws {
      try await executor.withPool { pool in
        await #expect(throws: EveryError(code: 7)) { try await pool.submit(Throw(code: 7)).value }
        await #expect(throws: EveryError(code: -3)) { try await pool.submit(DoubledLater(number: -3)).value }
        let next = try await pool.submit(Doubled(number: 1)).value
        #expect(next == 2, "the pool goes on")
      }
    }

    @Test(arguments: Executor.allCases)
    func aTaskThatRunsIsRunningAndOthersWait(on executor: Executor) async throws {
      try await executor.withPool(workers: 1) { pool in
        let (begun, gate) = try (SharedGate(), SharedGate())
        let first = pool.submit(Gated(number: 1, begun: begun, gate: gate))
        let second = pool.submit(Doubled(number: 2))
        await begun.opened()
        await eventually { first.isRunning }
        #expect(second.state == .pending)
        gate.open()
        let firstValue = try await first.value
        #expect(firstValue == 1)
        let secondValue = try await second.value
        #expect(secondValue == 4)
        #expect(first.state == .finished)
      }
    }

    @Test(arguments: Executor.allCases)
    func aQueuedTaskThatIsCancelledNeverRuns(on executor: Executor) async throws {
      let mark = try SharedGate()
      try await executor.withPool(workers: 1) { pool in
        let (begun, gate) = try (SharedGate(), SharedGate())
        let first = pool.submit(Gated(begun: begun, gate: gate))
        await begun.opened()
        let queued = pool.submit(Mark(mark: mark))
        let told = Gate()
        queued.addDoneCallback { _ in told.open() }
        #expect(queued.cancel())
        #expect(queued.isCancelled, "at once, not when a worker comes to it")
        #expect(queued.cancel(), "cancelled before")
        await told.wait()
        await #expect(throws: CancellationError.self) { try await queued.value }
        gate.open()
        _ = try await first.value
        #expect(!first.cancel(), "it has ended")
      }
      #expect(!mark.isOpen)
    }

    @Test(arguments: Executor.allCases)
    func shutdownWaitsForWhatIsQueued(on executor: Executor) async throws {
      let pool = executor.makePool(workers: 1)
      let futures = (0..<40).map { pool.submit(Doubled(number: $0)) }
      await pool.shutdown(cancelPending: false)
      #expect(!futures.contains { !$0.isDone })
      let values = try await gather(futures).value
      #expect(values == (0..<40).map { $0 * 2 })
    }

    @Test(arguments: Executor.allCases)
    func shutdownThatCancelsEndsOnlyWhatHasNotBegun(on executor: Executor) async throws {
      let pool = executor.makePool(workers: 1)
      let (begun, gate) = try (SharedGate(), SharedGate())
      let first = pool.submit(Gated(number: 5, begun: begun, gate: gate))
      await begun.opened()
      let queued = (0..<10).map { pool.submit(Doubled(number: $0)) }
      async let shutdown: Void = pool.shutdown(cancelPending: true)
      await eventually { !queued.contains { !$0.isCancelled } }
      gate.open()
      await shutdown
      let firstValue = try await first.value
      #expect(firstValue == 5)
    }

    @Test(arguments: Executor.allCases)
    func whatIsSubmittedAfterShutdownFails(on executor: Executor) async throws {
      let pool = executor.makePool()
      await pool.shutdown(cancelPending: false)
      await pool.shutdown(cancelPending: false)
      await #expect(throws: ExecutorShutDownError.self) { try await pool.submit(Doubled(number: 1)).value }
      await #expect(throws: ExecutorShutDownError.self) { try await pool.submit(DoubledLater(number: 1)).value }
    }

    @Test(arguments: Executor.allCases)
    func aDroppedPoolFinishesItsWork(on executor: Executor) async throws {
      var pool: (any TaskPool)? = executor.makePool(workers: 1)
      let futures = (0..<20).map { pool!.submit(Doubled(number: $0)) }
      pool = nil
      let values = try await gather(futures).value
      #expect(values == (0..<20).map { $0 * 2 })
    }

    @Test(arguments: Executor.allCases)
    func eachCallbackRunsOnceAndCombinatorsSeeEveryFuture(on executor: Executor) async throws {
      try await executor.withPool { pool in
        let tally = Tally()
        let futures = (0..<200).map { pool.submit(Doubled(number: $0)) }
        for future in futures { future.addDoneCallback { _ in tally.add() } }
        var sum = 0
        for await future in asCompleted(futures) { sum += try await future.value }
        #expect(sum == 199 * 200)
        await eventually { tally.count == 200 }
        let results = try await gatherResults(futures + [pool.submit(Throw(code: 1))]).value
        #expect(results.count == 201)
        let last = try #require(results.last)
        #expect(throws: EveryError(code: 1)) { try last.get() }
      }
    }

    @Test(arguments: Executor.allCases)
    func oneWaitersTimeLimitLeavesTheTaskAndOtherWaitersAlone(on executor: Executor) async throws {
      try await executor.withPool(workers: 1) { pool in
        let (begun, gate) = try (SharedGate(), SharedGate())
        let future = pool.submit(Gated(number: 9, begun: begun, gate: gate))
        async let other = future.value
        await #expect(throws: TimeoutError.self) { try await future.value(within: .milliseconds(20)) }
        #expect(!future.isDone)
        gate.open()
        let otherValue = try await other
        #expect(otherValue == 9)
      }
    }

    @Test(arguments: Executor.allCases)
    func manyThreadsMaySubmitAtOnce(on executor: Executor) async throws {
      try await executor.withPool { pool in
        let sums = await withTaskGroup(of: Int.self) { group in
          for submitter in 0..<4 {
            group.addTask {
              let futures = (0..<100).map { pool.submit(Doubled(number: submitter * 100 + $0)) }
              return (try? await gather(futures).value.reduce(0, +)) ?? -1
            }
          }
          return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums.reduce(0, +) == 399 * 400)
      }
    }
  }
}
