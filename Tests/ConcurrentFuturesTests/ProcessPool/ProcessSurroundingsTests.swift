#if os(Linux) || os(macOS)
import Foundation
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// Decoding it, in the parent, takes until the gate opens.
private struct SlowToDecode: Codable, Sendable {
  static let (begun, gate) = (Gate(), Gate())
  var number: UInt32
  init(_ number: UInt32) { self.number = number }
  init(from decoder: any Decoder) throws {
    number = try decoder.singleValueContainer().decode(UInt32.self)
    Self.begun.open()
    Self.gate.pass()
  }
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(number)
  }
}

/// The file that a worker runs.
struct ExecutablePath: ProcessTask {
  func run() -> String { SystemFiles.target(of: "/proc/self/exe") }
}

private struct PrivateTask: ProcessTask {
  func run() -> Int { 1 }
}

/// What went wrong, shortly.
private func outcome<T>(_ body: () throws -> T) -> String {
  do { return "\(try body())" } catch let error as WorkerTerminatedError { return "\(error.reason)" } catch {
    return "\(type(of: error))"
  }
}

extension ProcessPools {
  /// Limits, and programs around the pool that do what they should not. What changes a whole process is tried in a worker,
  /// which makes pools of its own.
  @Suite struct Surroundings {
    @Test func processorTimeLimitsEndTheTaskThatPassesThem() async throws {
      var options = ProcessPool.Options()
      options.processorTimeLimit = .seconds(2)
      try await withPool(workers: 2, options: options) { pool in
        let spinning = pool.submit(1) { (n: Int) -> Int in
          while opaque(n) > 0 {}
          return n
        }
        let stubborn = pool.submit(1) { (n: Int) -> Int in
          signal(SIGXCPU, SIG_IGN)
          while opaque(n) > 0 {}
          return n
        }
        let others = (0..<20).map { pool.submit($0) { $0 } }
        let error = await #expect(throws: WorkerTerminatedError.self) { try await spinning.value }
        #expect(error?.reason == .signalled(SIGXCPU))
        #expect(error?.description.contains("SIGXCPU") == true)
        #expect(error?.description.contains("processorTimeLimit") == true)
        let harder = await #expect(throws: WorkerTerminatedError.self) { try await stubborn.value }
        #expect(harder?.reason == .signalled(SIGKILL))
        for (n, future) in others.enumerated() { try await #expect(future.value == n) }
      }
    }

    /// As the kernel does when memory is short: no last words, and no other sign.
    @Test func aKillFromOutsideIsExplained() async throws {
      try await withPool(workers: 1) { pool in
        let victim = pool.submit(1) { (_: Int) -> Int in stayForever() }
        await eventually { victim.isRunning }
        kill(pool.workerProcessIdentifiers[0], SIGKILL)
        let error = await #expect(throws: WorkerTerminatedError.self) { try await victim.value }
        #expect(error?.reason == .signalled(SIGKILL))
        #expect(error?.violation == nil)
        #expect(error?.description.contains("memory is short") == true)
        #expect(error?.description.contains("memoryLimit") == true, "the remedy")
      }
    }

    #if os(Linux)
    @Test func theKernelTakesAWorkerBeforeItsParentWhenMemoryIsShort() async throws {
      func score() -> Int? { Int(SystemFiles.text(of: "/proc/self/oom_score_adj").prefix { $0 != "\n" }) }
      let own = try #require(score())
      try await withPool(workers: 1) { pool in
        let workers = try await pool.submit {
          Int(SystemFiles.text(of: "/proc/self/oom_score_adj").prefix { $0 != "\n" })
        }.value
        #expect(workers == min(1000, own + 300))
      }
    }
    #endif

    @Test func resultsThatAreSlowToDecodeDelayTheOthersAndNoMore() async throws {
      try await withPool { pool in
        let slow = pool.submit(300) { SlowToDecode($0) }
        await SlowToDecode.begun.wait()
        let others = (0..<50).map { pool.submit($0) { $0 } }
        SlowToDecode.gate.open()
        try await #expect(slow.value.number == 300)
        for (n, future) in others.enumerated() { try await #expect(future.value == n) }
      }
    }

    @Test func whatWasWrittenBeforeTheLastAnswerWasHeardMayBeTheNextTasks() async {
      var ends: [Int32] = [0, 0]
      pipe(&ends)
      defer { for end in ends { close(end) } }
      _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
      var words = StandardErrorPipe(descriptor: ends[0])
      // Nothing is read as long as this process's own standard error takes nothing.
      func write(_ text: String) async {
        _ = text.withCString { FuturesTestLibc.write(ends[1], $0, text.utf8.count) }
        await eventually {
          words.pump()
          return words.text.contains(text.dropLast())
        }
      }
      await write("first\n")
      words.nothingElseWasSaid()
      // The second task's words come before the first one's answer.
      await write("second\n")
      words.taskEnded()
      #expect(words.text == "second")
      words.nothingElseWasSaid()
      words.taskEnded()
      #expect(words.text == "")
    }

    /// Nothing that it was handed is lost, for it has not begun.
    @Test func aWorkerThatDoesNotTakeItsTasksIsReplaced() async throws {
      try await withPool(workers: 1) { pool in
        pool.core.patience = 300_000_000
        let process = try await pool.submit { getpid() }.value
        try await stop(process)
        let futures = (0..<5).map { pool.submit($0) { $0 + 1 } }
        for (n, future) in futures.enumerated() { try await #expect(future.value == n + 1) }
        #expect(!isAlive(process))
      }
    }

    // MARK: other programs as workers

    /// A second mark, before the pool's own, stands for a worker whose executable is of another build.
    @Test func workersOfAnotherBuildAreRefused() async throws {
      var options = ProcessPool.Options()
      options.environment = ["CONCURRENT_FUTURES_WORKER": "1:0:0:0:0", "SWIFT_BACKTRACE": "enable=no"]
      if let path = getenv("LD_LIBRARY_PATH") { options.environment!["LD_LIBRARY_PATH"] = String(cString: path) }
      let pool = makePool(options: options)
      let error = await #expect(throws: BrokenExecutorError.self) {
        try await pool.submit(1) { $0 }.value(within: .seconds(patience))
      }
      #expect(error?.reason.contains("not the same build") == true, "\(String(describing: error))")
      #expect(error?.reason.contains("start the program again") == true, "the remedy")
      await pool.shutdown()
    }

    #if os(Linux)
    /// A copy of this program: the same types, and another executable.
    @Test func workersOfAnotherExecutableRunTasksAndNoClosures() async throws {
      let copy = "/tmp/cf-worker-\(getpid())"
      try FileManager.default.copyItem(atPath: SystemFiles.target(of: "/proc/self/exe"), toPath: copy)
      defer { unlink(copy) }
      var options = ProcessPool.Options()
      options.workerExecutable = copy
      try await withPool(options: options) { pool in
        try await #expect(pool.submit(Sum(numbers: [1, 2, 3])).value == 6)
        try await #expect(pool.submit(ExecutablePath()).value == copy)
        let closure = await #expect(throws: TaskEncodingError.self) { try await pool.submit(1) { $0 }.value }
        #expect(closure?.subject == .closure)
        #expect(closure?.description.contains("Submit a ProcessTask") == true, "the remedy")
        let unknown = await #expect(throws: TaskEncodingError.self, "it is named by its place in the executable") {
          try await pool.submit(PrivateTask()).value
        }
        #expect(unknown?.subject == .argument)
        #expect(unknown?.description.contains("PrivateTask cannot be found: it is private") == true, "the remedy")
        try await #expect(pool.submit(Sum(numbers: [0.5])).value == 0.5)
      }
    }
    #endif

    /// It neither ends nor speaks.
    @Test func programsThatAreNoWorkersAreRefused() async throws {
      let script = "/tmp/cf-no-worker-\(getpid())"
      let file = fopen(script, "we")
      fputs("#!/bin/sh\nexec sleep 1000\n", file)
      fclose(file)
      chmod(script, 0o755)
      defer { unlink(script) }
      var options = ProcessPool.Options()
      options.workerExecutable = script
      let pool = makePool(options: options)
      pool.core.patience = 300_000_000
      let error = await #expect(throws: BrokenExecutorError.self) {
        try await pool.submit(Sum(numbers: [1])).value(within: .seconds(patience))
      }
      #expect(error?.reason.contains("links this library") == true, "\(String(describing: error))")
      await pool.shutdown()
    }

    // MARK: what the rest of the program does

    /// A pipe for the standard error that is full, and that nobody empties.
    @Test func aParentWhoseStandardErrorIsBlockedGoesOn() async throws {
      try await withPool(workers: 1) { pool in
        let outcomes = pool.submit { () -> [String] in
          var ends: [Int32] = [0, 0]
          pipe(&ends)
          _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
          let bytes = [UInt8](repeating: 65, count: 4096)
          while write(ends[1], bytes, bytes.count) > 0 {}
          _ = fcntl(ends[1], F_SETFL, 0)
          dup2(ends[1], 2)
          let inner = makePool(workers: 2)
          let quiet = (0..<50).map { inner.submit($0) { $0 } }
          let crashing = inner.submit(1) { (_: Int) -> Int in
            writeError("last words\n")
            abort()
          }
          // More than a pipe holds: it waits, as it would without a pool.
          let loud = inner.submit(1, timeout: .milliseconds(300)) { (n: Int) -> Int in
            for _ in 0..<10_000 { writeError("a line of thirty-two characters\n") }
            return n
          }
          let sum = outcome { try gather(quiet).wait().reduce(0, +) }
          var words = "none"
          do { _ = try crashing.wait() } catch { words = (error as? WorkerTerminatedError)?.standardErrorTail ?? "" }
          let late = outcome { try loud.wait() }
          inner.shutdownAndWait()
          return [sum, words, late]
        }
        try await #expect(outcomes.value == ["1225", "last words", "TimeoutError"])
      }
    }

    @Test func aParentWhoseStandardErrorNobodyReadsLives() async throws {
      try await withPool(workers: 1) { pool in
        let outcomes = pool.submit { () -> [String] in
          signal(SIGPIPE, SIG_DFL)
          var ends: [Int32] = [0, 0]
          pipe(&ends)
          dup2(ends[1], 2)
          close(ends[0])
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          let loud = inner.submit(1) { (n: Int) -> Int in
            for _ in 0..<5000 { writeError("a line of thirty-two characters\n") }
            return n
          }
          return [outcome { try loud.wait() }]
        }
        try await #expect(outcomes.value == ["1"])
      }
    }

    /// The kernel reaps the children itself: a death is noticed, how it came about is lost.
    @Test func aParentThatIgnoresSIGCHLDNoticesDeaths() async throws {
      try await withPool(workers: 1) { pool in
        let outcomes = pool.submit { () -> [String] in
          signal(SIGCHLD, SIG_IGN)
          let inner = makePool(workers: 2)
          let dying = (0..<4).map { inner.submit($0) { (_: Int) -> Int in exit(3) } }
          let others = (0..<50).map { inner.submit($0) { $0 } }
          var seen = dying.map { future in outcome { try future.wait() } }
          seen.append(outcome { try gather(others).wait().reduce(0, +) })
          inner.shutdownAndWait()
          return seen
        }
        let lost = "\(WorkerTerminatedError.Reason.exited(-1))"
        try await #expect(outcomes.value == [lost, lost, lost, lost, "1225"])
        #expect(lost.contains("another part of the program has waited for it"))
      }
    }

    /// Another part of the program waits for any child, and takes ours.
    @Test func aParentWhoseChildrenAreStolenNoticesDeaths() async throws {
      try await withPool(workers: 1) { pool in
        let outcomes = try await pool.submit { () -> [String] in
          var thief = pthread_t()
          pthread_create(
            &thief, nil,
            { _ in
              var status: Int32 = 0
              while true { if waitpid(-1, &status, 0) < 0 { sched_yield() } }
            }, nil)
          let inner = makePool(workers: 2)
          let dying = (0..<20).map { inner.submit($0) { (_: Int) -> Int in exit(3) } }
          let others = (0..<50).map { inner.submit($0) { $0 } }
          var seen = dying.map { future in outcome { try future.wait() } }
          seen.append(outcome { try gather(others).wait().reduce(0, +) })
          inner.shutdownAndWait()
          return seen
        }.value
        #expect(outcomes.last == "1225")
        let possible = ["\(WorkerTerminatedError.Reason.exited(-1))", "\(WorkerTerminatedError.Reason.exited(3))"]
        #expect(outcomes.dropLast().allSatisfy { possible.contains($0) }, "\(outcomes)")
      }
    }

    @Test func errorsOfSpawningThatWillNotPassBreakThePoolAtOnce() async throws {
      let tries = Counter()
      let pool = makePool {
        _ = tries.next()
        return ENOENT
      }
      let error = await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      #expect(error?.reason.contains("No such file") == true)
      await pool.shutdown()
      #expect(tries.next() == 2, "it was tried once")
    }
  }
}
#endif
