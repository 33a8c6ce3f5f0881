import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

struct FailingInitializer: ProcessTask {
  func run() throws -> Int { throw RemoteError(typeName: "x", message: "no licence") }
}

struct DyingInitializer: ProcessTask {
  func run() throws -> Int { exit(9) }
}

struct SettingInitializer: ProcessTask {
  func run() throws -> Int32 { setenv("INITIALIZED", "yes", 1) }
}

struct WaitForCancellation: AsyncProcessTask {
  let running: SharedGate
  let ended: SharedGate

  func run() async throws -> Int {
    running.open()
    await untilCancelled()
    if Task.isCancelled { ended.open() }
    throw CancellationError()
  }
}

/// What is wrong with it, if it is not the value that is expected. Only a time limit may be the reason.
private func outcome<T: Equatable>(of future: Future<T>, is expected: T) async throws -> Comment? {
  do {
    let value = try await future.value
    return value == expected ? nil : "\(value)"
  } catch let error as TimeoutError {
    return "\(error)"
  }
}

extension ProcessPools {
  /// What ends tasks and pools without a crash: time limits, cancellation, workers that cannot start.
  @Suite struct Limits {
    @Test func backtracesAreTheUsersChoice() async throws {
      func environment(_ own: [String: String]?, writesBacktraces: Bool = false) -> [String] {
        var options = ProcessPool.Options()
        options.environment = own
        options.writesBacktraces = writesBacktraces
        let blueprint = WorkerBlueprint(name: "test", options: options, initializer: nil)
        return blueprint.environment(mark: "m").filter { $0.hasPrefix("SWIFT_BACKTRACE") }
      }
      #expect(environment([:]) == [WorkerBlueprint.noBacktraces])
      #expect(environment(["SWIFT_BACKTRACE": "enable=yes"]) == ["SWIFT_BACKTRACE=enable=yes"])
      #expect(environment([:], writesBacktraces: true) == [])
      #expect(environment(["SWIFT_BACKTRACE": "enable=no"], writesBacktraces: true) == ["SWIFT_BACKTRACE=enable=no"])
      var options = ProcessPool.Options()
      options.environment = ["SWIFT_BACKTRACE": "enable=no"]
      if let path = getenv("LD_LIBRARY_PATH") { options.environment!["LD_LIBRARY_PATH"] = String(cString: path) }
      try await withPool(workers: 1, options: options) { pool in
        try await #expect(pool.submit { String(cString: getenv("SWIFT_BACKTRACE")) }.value == "enable=no")
      }
    }

    @Test func signalsHaveNames() {
      typealias Reason = WorkerTerminatedError.Reason
      #expect(Reason.signalled(SIGSEGV).signalName == "SIGSEGV")
      #expect(Reason.signalled(SIGKILL).signalName == "SIGKILL")
      #expect(Reason.signalled(64).signalName == nil)
      #expect(Reason.exited(11).signalName == nil)
      #expect(Reason.signalled(SIGSEGV).description == "was ended by SIGSEGV (signal 11)")
    }

    @Test func timeLimitsStopTheWork() async throws {
      try await withPool(workers: 1) { pool in
        try await atSomePace { pace in
          let process = pool.submit { getpid() }
          let endless = pool.submit(1, timeout: .milliseconds(50 * pace)) { (n: Int) -> Int in
            while opaque(n) > 0 {}
            return n
          }
          // It waits longer than it may run: the queue's time is not counted.
          let behind = pool.submit(2, timeout: .milliseconds(40 * pace)) { $0 }
          await #expect(throws: TimeoutError.self) { try await endless.value }
          let outcome = await behind.result
          let first = try await process.value
          await eventually { !isAlive(first) }
          if case .success(2) = outcome { return nil }
          return "\(outcome)"
        }
      }
    }

    @Test func timeLimitsHoldWhileAThreadWaits() async throws {
      let outcome = ThreadPool.shared.submit { () -> [String] in
        let pool = makePool(workers: 1)
        defer { pool.shutdownAndWait() }
        // Hot, so that the waiting thread itself hears that the task has started.
        for n in 0..<200 { _ = try pool.submit(n) { $0 }.wait() }
        return (0..<5).map { n in
          do {
            return "\(try pool.submit(n, timeout: .milliseconds(20)) { (_: Int) -> Int in while true {} }.wait())"
          } catch {
            return "\(type(of: error))"
          }
        }
      }
      try await #expect(outcome.value(within: .seconds(patience)) == Array(repeating: "TimeoutError", count: 5))
    }

    @Test func timeLimitsOfMapsAreTheElements() async throws {
      try await withPool { pool in
        // More than are sent ahead.
        try await #expect(pool.map(0..<3000, timeout: .seconds(patience)) { $0 }.value == Array(0..<3000))
        // Together they take longer than one may.
        try await atSomePace { pace in
          let elements = repeatElement(3 * pace, count: 40)
          let times = pool.map(elements, timeout: .milliseconds(50 * pace)) { (milliseconds: Int) -> Int in
            compute(for: .milliseconds(milliseconds))
            return milliseconds
          }
          return try await outcome(of: times, is: Array(elements))
        }
        // A chunk has the time of all its elements.
        try await atSomePace { pace in
          let elements = repeatElement(10 * pace, count: 8)
          let limit = Duration.milliseconds(30 * pace)
          let times = pool.map(elements, chunkSize: 4, timeout: limit) { (milliseconds: Int) -> Int in
            compute(for: .milliseconds(milliseconds))
            return milliseconds
          }
          return try await outcome(of: times, is: Array(elements))
        }
        await #expect(throws: TimeoutError.self) {
          try await pool.map(0..<5, timeout: .milliseconds(50)) { (n: Int) -> Int in
            while opaque(n) == 3 {}
            return n
          }.value
        }
      }
    }

    @Test func queuedWorkIsCancelledWithoutATrace() async throws {
      try await withPool(workers: 1) { pool in
        let blockade = try await WorkerBlockade(pool)
        let ran = try SharedGate()
        let queued = (0..<50).map { _ in pool.submit(ran) { $0.open() } }
        for future in queued { #expect(future.cancel()) }
        try await blockade.end()
        try await #expect(pool.submit(1) { $0 }.value == 1)
        #expect(!ran.isOpen)
      }
    }

    @Test func runningWorkIsStopped() async throws {
      try await withPool(workers: 2) { pool in
        let running = try SharedGate()
        let endless = pool.submit(running) { running -> Int32 in
          running.open()
          stayForever()
        }
        let neighbour = try await WorkerBlockade(pool)
        await running.opened()
        await eventually { endless.isRunning }
        let processes = pool.workerProcessIdentifiers
        #expect(endless.cancel())
        #expect(endless.isCancelled)
        await eventually { processes.contains { !isAlive($0) } }
        try await #expect(pool.submit(5) { $0 }.value == 5)
        #expect(neighbour.holds)
        try await neighbour.end()
      }
    }

    @Test func asynchronousWorkSeesItsCancellation() async throws {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .seconds(patience)
      try await withPool(workers: 1, options: options) { pool in
        let (running, ended) = try (SharedGate(), SharedGate())
        let task = Task {
          try await pool.run(WaitForCancellation(running: running, ended: ended))
        }
        await running.opened()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        await ended.opened()
      }
    }

    @Test func failingInitializersBreakThePool() async throws {
      let pool = makePool(initializer: FailingInitializer())
      let error = await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      #expect(error?.reason.contains("no licence") == true)
      await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      await pool.shutdown()
      let dying = makePool(initializer: DyingInitializer())
      let reason = await #expect(throws: BrokenExecutorError.self) { try await dying.submit(1) { $0 }.value }
      #expect(reason?.reason.contains("code 9") == true)
      await dying.shutdown()
      let good = makePool(initializer: SettingInitializer())
      try await #expect(good.submit { String(cString: getenv("INITIALIZED")) }.value == "yes")
      await good.shutdown()
    }

    @Test func workersThatCannotStartBreakThePool() async throws {
      var options = ProcessPool.Options()
      options.workerExecutable = "/nonexistent"
      let absent = makePool(options: options)
      let missing = await #expect(throws: BrokenExecutorError.self) { try await absent.submit(Sum(numbers: [1])).value }
      #expect(missing?.reason.contains("No such file") == true)
      options.workerExecutable = "/bin/false"
      let wrong = makePool(options: options)
      let died = await #expect(throws: BrokenExecutorError.self) { try await wrong.submit(Sum(numbers: [1])).value }
      #expect(died?.reason.contains("exited with code 1") == true)
      let closure = await #expect(throws: TaskEncodingError.self) { try await wrong.submit(1) { $0 }.value }
      #expect(closure?.subject == .closure)
      await absent.shutdown()
      await wrong.shutdown()
    }

    @Test(arguments: [EAGAIN, ENOMEM, EMFILE, ENFILE])
    func spawningIsTriedAgain(_ number: Int32) async throws {
      let failures = Counter()
      let pool = makePool { failures.next() <= 3 ? number : 0 }
      try await #expect(pool.submit(1) { $0 }.value == 1)
      await pool.shutdown()
      let never = makePool { number }
      let error = await #expect(throws: BrokenExecutorError.self) { try await never.submit(1) { $0 }.value }
      #expect(error?.reason.contains("cannot start a worker") == true)
      await never.shutdown()
    }
  }
}
