import Foundation
import Testing

@testable import ConcurrentFutures

@Suite struct ThreadPoolWaitTests {
  @Test func waitInsideTheOnlyWorkerRunsTheWorkItself() async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "inline")
    let names = try await pool.submit { [NamedThreads.current, try pool.submit { NamedThreads.current }.wait()] }.value
    #expect(names == ["inline-1", "inline-1"])
    await pool.shutdown()
  }

  @Test(arguments: [1, 2]) func recursionByWaitingEnds(maxWorkers: Int) async throws {
    let pool = ThreadPool(maxWorkers: maxWorkers)
    @Sendable func fib(_ n: Int) throws -> Int {
      if n < 2 { return n }
      let left = pool.submit { try fib(n - 1) }
      let right = pool.submit { try fib(n - 2) }
      return try left.wait() + right.wait()
    }
    #expect(try await pool.submit { try fib(16) }.value == 987)
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
  }

  @Test(arguments: [1, 2]) func chainOfAThousandWaitsEnds(maxWorkers: Int) async throws {
    let pool = ThreadPool(maxWorkers: maxWorkers)
    @Sendable func descend(_ depth: Int) throws -> Int {
      depth == 0 ? 0 : try pool.submit { try descend(depth - 1) }.wait() + 1
    }
    #expect(try await pool.submit { try descend(1_000) }.value == 1_000)
    await pool.shutdown()
  }

  /// Far more than the spare threads that a pool adds: every one of them waits for what is queued behind them.
  /// More than the stack of one thread holds.
  @Test func chainOfWaitsThatIsTooDeepForOneStackEnds() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    @Sendable func descend(_ depth: Int) throws -> Int {
      if depth == 0 { return 0 }
      return try pool.submit { try descend(depth - 1) }.wait() + 1
    }
    #expect(try await pool.submit { try descend(30_000) }.value == 30_000)
    await pool.shutdown()
  }

  @Test(arguments: [1, 2], [10, 400]) func workersThatWaitForALaterTaskEnd(maxWorkers: Int, waiters: Int) async throws {
    let pool = ThreadPool(maxWorkers: maxWorkers)
    let promise = Future<Int>()
    let futures = (0..<waiters).map { index in pool.submit { try promise.wait() + index } }
    let last = pool.submit { promise.complete(with: .success(1)) }
    #expect(try await last.value)
    #expect(try await gather(futures).value == (0..<waiters).map { $0 + 1 })
    await pool.shutdown()
    #expect(pool.statistics.threads == 0)
  }

  /// The work arrives only when every thread that the pool may have is asleep in a wait.
  @Test func sleepingWorkersAreCalledForWorkThatComesLater() async throws {
    let core = PoolCore(
      name: "called", maximum: 2, limit: .unlimited, keepAlive: .seconds(1), initializer: nil, spareLimit: 3)
    let pool = ThreadPool(core: core)
    let promise = Future<Int>()
    let futures = (0..<30).map { index in pool.submit { try promise.wait() + index } }
    await eventually { core.withState { $0.queue.count == 0 && $0.active == 0 } }
    #expect(pool.statistics.threads == 5)
    for index in 0..<20 { #expect(try await pool.submit { index }.value == index) }
    #expect(try await pool.submit { try pool.submit { 5 }.wait() }.value == 5)
    #expect(try await pool.submit { promise.complete(with: .success(0)) }.value)
    #expect(try await gather(futures).value == Array(0..<30))
    #expect(core.withState { $0.callable.isEmpty && $0.active >= 0 })
    await pool.shutdown()
  }

  /// As above, with the releasing work in the deque of a worker that has blocked.
  @Test(arguments: [0, 64]) func entriesOfABlockedWorkersDequeAreNotStranded(spares: Int) async throws {
    let core = PoolCore(
      name: "strand", maximum: 1, limit: .unlimited, keepAlive: .seconds(1), initializer: nil, spareLimit: spares)
    let pool = ThreadPool(core: core)
    let promise = Future<Int>()
    let result = pool.submit {
      // Whoever takes the first blocks as well; the last is behind it in the same deque.
      for _ in 0..<3 { pool.submit { _ = try promise.wait() } }
      pool.submit { promise.complete(with: .success(9)) }
      return try promise.wait()
    }
    #expect(try await result.value == 9)
    await pool.shutdown()
  }

  @Test func waitForAForeignFutureLeavesThePlaceToOthers() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let promise = Future<Int>()
    let waiting = pool.submit { try promise.wait() }
    #expect(try await pool.submit { 2 }.value == 2)
    promise.complete(with: .success(1))
    #expect(try await waiting.value == 1)
    await pool.shutdown()
  }

  @Test func workersOfTwoPoolsWaitForEachOther() async throws {
    let (a, b) = (ThreadPool(maxWorkers: 1), ThreadPool(maxWorkers: 1))
    @Sendable func bounce(_ depth: Int) throws -> Int {
      if depth == 0 { return 0 }
      return try (depth.isMultiple(of: 2) ? a : b).submit { try bounce(depth - 1) }.wait() + 1
    }
    #expect(try await a.submit { try bounce(50) }.value == 50)
    await a.shutdown()
    await b.shutdown()
  }

  @Test func waitWithATimeLimitRunsNothingInside() async throws {
    let pool = ThreadPool(maxWorkers: 1, name: "timed")
    let gate = Gate()
    let ended = try await pool.submit { () -> Bool in
      let slow = pool.submit {
        gate.pass()
        return NamedThreads.current
      }
      #expect(throws: TimeoutError.self) { try slow.wait(timeout: .zero) }
      #expect(slow.state == .pending, "a limit of zero only looks")
      #expect(throws: TimeoutError.self) { try slow.wait(timeout: .milliseconds(5)) }
      gate.open()
      return try slow.wait(timeout: .seconds(patience)) != NamedThreads.current
    }.value
    #expect(ended)
    await pool.shutdown()
  }

  @Test func workersAreNoMoreThanTheMaximumAfterManyHaveWaited() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let promise = Future<Void>()
    let futures = (0..<20).map { _ in pool.submit { try promise.wait() } }
    await eventually { pool.core.withState { $0.callable.count == 20 } }
    promise.complete(with: .success(()))
    _ = try await gather(futures).value
    await eventually { pool.core.withState { $0.active == 0 } }
    let crowd = Crowd()
    let gate = Gate()
    let next = (0..<20).map { _ in
      pool.submit {
        crowd.enter()
        gate.pass()
        crowd.leave()
      }
    }
    await eventually { crowd.now == 2 }
    #expect(pool.statistics.running == 2)
    gate.open()
    _ = try await gather(next).value
    #expect(crowd.most == 2)
    await pool.shutdown()
  }

  @Test func spareLeavesItsOwnQueueToWhoHasGoneOn() async throws {
    let pool = ThreadPool(maxWorkers: 1, queueLimit: .unlimited, keepAlive: .seconds(3600))
    let order = Log<Int>()
    let goOn = Gate()
    let first = pool.submit {
      let signal = Future<Void>()
      // Runs on a spare, and leaves work in the spare's deque.
      pool.submit {
        for index in 0..<50 { pool.submit { order.append(index) } }
        signal.complete(with: .success(()))
        goOn.pass()
      }
      try signal.wait(timeout: .seconds(patience))
      goOn.open()
      // Holds the only place until the spare has found that it has none, and has gone to sleep.
      while pool.core.withState({ $0.idle.isEmpty }) { sched_yield() }
      return order.count
    }
    #expect(try await first.value == 0)
    await pool.shutdown()
    #expect(order.entries == Array(0..<50))
  }

  @Test func combinatorsMayBeWaitedForInsideAWorker() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let sum = try await pool.submit { () -> Int in
      let futures = (0..<50).map { index in pool.submit { index } }
      let first = try gather(futures).wait().reduce(0, +)
      var second = 0
      for future in asCompleted((0..<50).map { index in pool.submit { index } }) { second += try future.wait() }
      let (done, _) = wait((0..<50).map { index in pool.submit { index } })
      let third = try done.reduce(0) { try $0 + $1.wait() }
      return first + second + third
    }.value
    #expect(sum == 3 * 1_225)
    await pool.shutdown()
  }
}

@Suite struct ThreadPoolJoinTests {
  @Test(arguments: [1, 2, 4]) func forksGiveBothResults(maxWorkers: Int) async throws {
    let pool = ThreadPool(maxWorkers: maxWorkers)
    @Sendable func sum(_ range: Range<Int>) -> Int {
      if range.count <= 4 { return range.reduce(0, +) }
      let middle = range.lowerBound + range.count / 2
      let (left, right) = pool.join({ sum(range.lowerBound..<middle) }, { sum(middle..<range.upperBound) })
      return left + right
    }
    for _ in 0..<5 { #expect(try await pool.submit { sum(0..<20_000) }.value == 199_990_000) }
    #expect(try await onThread { sum(0..<1_000) } == 499_500)
    await pool.shutdown()
    #expect(try await onThread { sum(0..<100) } == 4_950, "a pool that has ended runs both here")
  }

  @Test func theErrorOfTheFirstHalfCountsAndBothEnd() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let ends = Tally()
    @Sendable func fail(_ id: Int) throws -> Int {
      ends.add()
      throw TestError(id)
    }
    @Sendable func succeed() throws -> Int {
      ends.add()
      return 1
    }
    for onWorker in [true, false] {
      @Sendable func attempt(_ a: @escaping @Sendable () throws -> Int, _ b: @escaping @Sendable () throws -> Int) async
        -> (any Error)?
      {
        do {
          if onWorker {
            _ = try await pool.submit { try pool.join(a, b).0 }.value
          } else {
            _ = try await onThread { try pool.join(a, b).0 }
          }
          return nil
        } catch { return error }
      }
      #expect(await attempt({ try fail(1) }, { try fail(2) }) as? TestError == TestError(1))
      #expect(await attempt({ try succeed() }, { try fail(2) }) as? TestError == TestError(2))
      #expect(await attempt({ try fail(1) }, { try succeed() }) as? TestError == TestError(1))
    }
    #expect(ends.count == 12)
    await pool.shutdown()
  }

  @Test func theSecondHalfIsStolenAndTheFirstMayEndBeforeIt() async throws {
    let pool = ThreadPool(maxWorkers: 2, name: "steal")
    let (stolen, firstIsOver) = (Gate(), Gate())
    let names = try await pool.submit { () -> [String] in
      let (a, b) = pool.join(
        { () -> String in
          stolen.pass()
          firstIsOver.open()
          return NamedThreads.current
        },
        { () -> String in
          stolen.open()
          firstIsOver.pass()
          return NamedThreads.current
        })
      return [a, b]
    }.value
    #expect(Set(names) == ["steal-1", "steal-2"])
    await pool.shutdown()
  }

  @Test func forksAndSubmissionsMix() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let ran = Tally()
    @Sendable func work(_ depth: Int) throws {
      let before = pool.submit { _ = ran.add() }
      _ = try pool.join(
        {
          pool.submit { ran.add() }
          if depth > 0 { try work(depth - 1) }
        },
        {
          let inner = pool.submit { _ = ran.add() }
          if depth > 0 { try work(depth - 1) }
          try inner.wait()
        })
      try before.wait()
    }
    for _ in 0..<20 { try await pool.submit { try work(6) }.value }
    await pool.shutdown()
    #expect(ran.count == 20 * 3 * 127)
  }

  /// A worker that waits for the thief of its fork must not bury itself under work that waits for it.
  @Test func waitingForAThiefRunsNoWorkThatWaitsForTheWaiter() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    for _ in 0..<200 {
      let promise = Future<Int>()
      let stolen = Gate()
      let waiters = try await pool.submit { () -> [Future<Int>] in
        let waiters = pool.join(
          { () -> [Future<Int>] in
            let waiters = (0..<3).map { _ in pool.submit { try promise.wait() } }
            stolen.pass()
            return waiters
          }, { stolen.open() })
        promise.complete(with: .success(1))
        return waiters.0
      }.value
      #expect(try await gather(waiters).value == [1, 1, 1])
    }
    await pool.shutdown()
  }

  @Test func joinFromOutsideSurvivesAShutdown() async throws {
    for round in 0..<400 {
      let pool = ThreadPool(maxWorkers: 1)
      let gate = Gate()
      pool.submit { gate.pass() }
      async let joined = onThread { () -> Int in
        var sum = 0
        for _ in 0..<50 {
          let (a, b) = pool.join({ 1 }, { 2 })
          sum += a + b
        }
        return sum
      }
      if round % 3 == 0 { await Task.yield() }
      gate.open()
      await pool.shutdown(cancelPending: true)
      #expect(try await joined == 150)
    }
  }

  @Test func joinOnAnotherPoolsWorkerWorks() async throws {
    let (a, b) = (ThreadPool(maxWorkers: 1), ThreadPool(maxWorkers: 1))
    let pair = try await a.submit { b.join({ 1 }, { 2 }) }.value
    #expect(pair == (1, 2))
    await a.shutdown()
    await b.shutdown()
  }

  @Test func joinKeepsNothingAlive() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    let live = LiveCount()
    for _ in 0..<100 {
      try await pool.submit {
        let (a, b) = (live.probe(), live.probe())
        _ = pool.join({ a.touch() }, { b.touch() })
      }.value
      try await onThread {
        let (a, b) = (live.probe(), live.probe())
        _ = pool.join({ a.touch() }, { b.touch() })
      }
    }
    await pool.shutdown()
    #expect(live.count == 0)
    #expect(live.total == 400)
  }
}
