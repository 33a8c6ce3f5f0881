import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What a process has left over: descriptors, children.
struct Leftovers: Codable, Sendable, Equatable {
  var descriptors: Int
  var hasChildren: Bool

  static func count() -> Leftovers {
    let open = (0..<1024).count { fcntl(Int32($0), F_GETFD) >= 0 }
    var status: Int32 = 0
    return Leftovers(descriptors: open, hasChildren: waitpid(-1, &status, WNOHANG) != -1)
  }

  /// What is left for good: the thread that drove a pool lets go of its last descriptors, and ends, while `shutdownAndWait` returns.
  static func afterThePools() -> Leftovers {
    let end = ContinuousClock.now + .seconds(patience)
    while NamedThreads.names().contains("test"), ContinuousClock.now < end { sched_yield() }
    return count()
  }
}

/// Opens and closes pools in a process of its own, and counts.
struct OpenAndClose: ProcessTask {
  let pools: Int

  func run() throws -> [Leftovers] {
    func once(_ n: Int) {
      let pool = makePool(workers: 1)
      switch n % 4 {
      case 0: _ = try? pool.submit(n) { $0 }.wait()
      case 1: pool.submit(n) { $0 }
      case 2: break
      default: _ = try? pool.submit(n) { (_: Int) -> Int in _exit(7) }.wait()
      }
      pool.shutdownAndWait()
    }
    for n in 0..<8 { once(n) }
    let before = Leftovers.afterThePools()
    for n in 0..<pools { once(n) }
    return [before, Leftovers.afterThePools()]
  }
}

extension ProcessPools {
  @Suite struct Ending {
    @Test func shutdownWaitsForEverything() async throws {
      let pool = makePool()
      // Both workers run a task, and the others are queued.
      let blockade = try await WorkerBlockade(pool, 2)
      let futures = (0..<200).map { pool.submit($0) { $0 } }
      async let down: Void = pool.shutdown()
      await eventually { pool.core.state.withLock { !$0.scheduler.isOpen } }
      #expect(!futures.contains { $0.isDone })
      try await blockade.end()
      await down
      #expect(futures.allSatisfy { $0.isDone && !$0.isCancelled })
      await #expect(throws: ExecutorShutDownError.self) { try await pool.submit(1) { $0 }.value }
      await pool.shutdown(cancelPending: true)
      await pool.killWorkers()
      #expect(pool.workerProcessIdentifiers.isEmpty)
    }

    @Test func shutdownCanCancelWhatHasNotStarted() async throws {
      let pool = makePool(workers: 1)
      let running = try await WorkerBlockade(pool)
      let queued = (0..<20).map { pool.submit($0) { $0 } }
      async let down: Void = pool.shutdown(cancelPending: true)
      await eventually { queued.allSatisfy(\.isCancelled) }
      #expect(running.holds)
      try await running.end()
      await down
    }

    @Test func aShutdownCanHaveADeadline() async throws {
      let pool = makePool(workers: 1)
      let endless = pool.submit(1) { (_: Int) -> Int in stayForever() }
      let queued = pool.submit(2) { $0 }
      await pool.shutdown(deadline: .milliseconds(50))
      await #expect(throws: BrokenExecutorError.self) { try await endless.value }
      await #expect(throws: BrokenExecutorError.self) { try await queued.value }
      let quick = makePool(workers: 1)
      let done = quick.submit(2) { $0 }
      await quick.shutdown(deadline: .seconds(60))
      try await #expect(done.value == 2)
    }

    @Test func unusedPoolsShutDown() async throws {
      await makePool().shutdown()
      await makePool().terminateWorkers()
      await makePool().killWorkers()
      try await #expect(withProcessPool(maxWorkers: 1) { _ in 3 } == 3)
    }

    @Test(arguments: [true, false])
    func stoppedPoolsFailEverything(_ gently: Bool) async throws {
      let pool = makePool()
      let futures = (0..<6).map { pool.submit($0) { (_: Int) -> Int in stayForever() } }
      await eventually { futures.count(where: \.isRunning) == 2 }
      let processes = pool.workerProcessIdentifiers
      if gently { await pool.terminateWorkers() } else { await pool.killWorkers() }
      for future in futures { await #expect(throws: BrokenExecutorError.self) { try await future.value } }
      await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      #expect(processes.allSatisfy { !isAlive($0) })
    }

    @Test func aDroppedPoolFinishesItsWork() async throws {
      var pool: ProcessPool? = makePool()
      let blockade = try await WorkerBlockade(pool!, 2)
      let futures = (0..<50).map { pool!.submit($0) { $0 } }
      let processes = pool!.workerProcessIdentifiers
      pool = nil
      #expect(blockade.holds && !futures.contains { $0.isDone })
      try await blockade.end()
      for (n, future) in futures.enumerated() { try await #expect(future.value == n) }
      await eventually { processes.allSatisfy { !isAlive($0) } }
    }

    @Test func callbacksMayBlockAndShutDown() async throws {
      let pool = makePool(workers: 1)
      let done = Future<Int>()
      pool.submit(1) { $0 }.addDoneCallback { _ in
        // On the pool's own thread: a wait for the same pool, and its shutdown.
        let inner = try? pool.submit(2) { $0 + 40 }.wait()
        pool.shutdownAndWait()
        done.complete(with: .success(inner ?? 0))
      }
      try await #expect(done.value(within: .seconds(patience)) == 42)
    }

    @Test func poolsLeaveNothingBehind() async throws {
      try await withPool(workers: 1) { pool in
        let counts = try await pool.submit(OpenAndClose(pools: stress(180, extended: 10_000))).value
        #expect(counts[0] == counts[1])
        #expect(!counts[1].hasChildren)
      }
    }

    @Test func exhaustedDescriptorsBreakThePoolAndNothingElse() async throws {
      var options = ProcessPool.Options()
      options.openFileLimit = 24
      try await withPool(workers: 1, options: options) { pool in
        let reason = try await pool.submit { () -> String in
          var taken: [Int32] = []
          while true {
            let next = dup(0)
            if next < 0 { break }
            taken.append(next)
          }
          let inner = makePool(workers: 1)
          defer { for descriptor in taken { close(descriptor) } }
          do { return "\(try inner.submit(1) { $0 }.wait())" } catch { return "\(error)" }
        }.value
        #expect(reason.contains("cannot start a worker"), "\(reason)")
      }
    }
  }
}
