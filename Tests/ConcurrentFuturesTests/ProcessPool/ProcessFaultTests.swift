import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

enum Death: String, Codable, Sendable, CaseIterable {
  case segmentationFault, trap, abort, exit0, exit3, kill

  func happen() {
    switch self {
    case .segmentationFault: UnsafeMutablePointer<Int>(bitPattern: 8)!.pointee = 1
    case .trap: fatalError("on purpose")
    case .abort: Glibc_abort()
    case .exit0: exit(0)
    case .exit3: exit(3)
    case .kill: _ = Self.raise(SIGKILL)
    }
  }

  static var trapName: String {
    #if arch(x86_64)
    "SIGILL"
    #else
    "SIGTRAP"
    #endif
  }

  private static func raise(_ signal: Int32) -> Int32 { Glibc_kill(getpid(), signal) }

  func matches(_ reason: WorkerTerminatedError.Reason) -> Bool {
    switch (self, reason) {
    case (.segmentationFault, .signalled(SIGSEGV)), (.abort, .signalled(SIGABRT)), (.kill, .signalled(SIGKILL)): true
    case (.trap, .signalled(let number)): [SIGILL, SIGTRAP].contains(number)
    case (.exit0, .exited(0)), (.exit3, .exited(3)): true
    default: false
    }
  }
}

private func Glibc_abort() { abort() }
private func Glibc_kill(_ process: Int32, _ signal: Int32) -> Int32 { kill(process, signal) }

/// Dies at a stage of its travel, in any process but the one that made it.
struct Bomb: Codable, Sendable {
  enum Stage: String, Codable, Sendable { case decoding, encoding }
  var home = getpid()
  var stage: Stage
  var death: Death

  init(_ stage: Stage, _ death: Death) {
    self.stage = stage
    self.death = death
  }

  enum CodingKeys: CodingKey { case home, stage, death }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    home = try container.decode(Int32.self, forKey: .home)
    stage = try container.decode(Stage.self, forKey: .stage)
    death = try container.decode(Death.self, forKey: .death)
    if stage == .decoding, getpid() != home { death.happen() }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(home, forKey: .home)
    try container.encode(stage, forKey: .stage)
    try container.encode(death, forKey: .death)
    if stage == .encoding, getpid() != home { death.happen() }
  }
}

/// Dies when it is run, or when it is decoded in another process than the one that made it, and says something before.
private struct Condemned: ProcessTask {
  let home: Int32
  let death: Death
  let isDecodable: Bool

  init(_ death: Death, isDecodable: Bool) {
    home = getpid()
    self.death = death
    self.isDecodable = isDecodable
  }

  private enum CodingKeys: CodingKey { case home, death, isDecodable }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    home = try container.decode(Int32.self, forKey: .home)
    death = try container.decode(Death.self, forKey: .death)
    isDecodable = try container.decode(Bool.self, forKey: .isDecodable)
    if !isDecodable, home != getpid() { die("decoded\n") }
  }

  func run() -> Int {
    die("run\n")
    return 0
  }

  private func die(_ words: String) {
    writeError("about to be ")
    writeError(words)
    death.happen()
  }
}

/// Comes up, and ends by itself when it is told to.
struct MortalInitializer: ProcessTask {
  static let signal = SIGUSR1
  func run() -> Bool {
    FuturesTestLibc.signal(Self.signal) { _ in _exit(9) }
    return true
  }
}

extension ProcessPools {
  /// How workers die, which sanitizers change.
  @Suite struct Faults {
    @Test(arguments: Death.allCases)
    func aDeathWhileRunningCostsItsTaskOnly(_ death: Death) async throws {
      try await withPool(workers: 3) { pool in
        // While it dies, one worker is in the middle of a task, another has tasks to go on with, and some wait for its own.
        let neighbour = try await WorkerBlockade(pool)
        let before = (0..<20).map { pool.submit($0) { $0 } }
        let begin = try SharedGate()
        let dying = pool.submit(death, begin) { death, begin -> Int in
          begin.wait()
          writeError("last words\n")
          death.happen()
          return 1
        }
        // Last words count from the end of the task before, which the parent may hear of later than of them.
        await eventually { dying.isRunning }
        let after = (0..<20).map { pool.submit($0) { $0 } }
        begin.open()
        let error = await #expect(throws: WorkerTerminatedError.self) { try await dying.value }
        #expect(error.map { death.matches($0.reason) } == true, "\(String(describing: error))")
        #expect(error?.standardErrorTail.contains("last words") == true)
        #expect(error?.taskName.contains("Death") == true)
        #expect(error?.processIdentifier ?? 0 > 0)
        for (n, future) in (before + after).enumerated() { try await #expect(future.value == n % 20) }
        #expect(neighbour.holds)
        try await neighbour.end()
      }
    }

    @Test(arguments: [Bomb.Stage.decoding, .encoding], Death.allCases)
    func aDeathWhileCodingCostsItsTaskOnly(_ stage: Bomb.Stage, _ death: Death) async throws {
      try await withPool { pool in
        let others = (0..<10).map { pool.submit($0) { $0 } }
        let error = await #expect(throws: WorkerTerminatedError.self) {
          switch stage {
          case .decoding: _ = try await pool.submit(Bomb(.decoding, death)) { _ in 1 }.value
          case .encoding: _ = try await pool.submit(Bomb(.encoding, death)) { $0 }.value
          }
        }
        #expect(error.map { death.matches($0.reason) } == true)
        for (n, future) in others.enumerated() { try await #expect(future.value == n) }
      }
    }

    @Test(arguments: [Death.segmentationFault, .abort, .exit3, .kill], [true, false])
    func anErrorSaysWhichWorkerDiedOfWhichTaskAndWhatItSaid(_ death: Death, isDecodable: Bool) async throws {
      try await withPool(workers: 1) { pool in
        try await pool.start()
        let worker = pool.workerProcessIdentifiers
        let task = Condemned(death, isDecodable: isDecodable)
        let error = await #expect(throws: WorkerTerminatedError.self) {
          if isDecodable { _ = try await pool.submit(task).value }
          _ = try await pool.submit(task) { $0.home }.value
        }
        #expect(error.map { [$0.processIdentifier] } == worker)
        #expect(error?.taskName == (isDecodable ? "Condemned" : "a closure (Condemned) -> Int32"))
        #expect(error?.standardErrorTail == (isDecodable ? "about to be run" : "about to be decoded"))
        #expect(error.map { death.matches($0.reason) } == true)
        #expect(error?.attempts == 1 && error?.violation == nil)
        // And the next one is another's.
        let successor = try await pool.submit { getpid() }.value
        #expect(pool.workerProcessIdentifiers == [successor] && [successor] != worker)
        let second = await #expect(throws: WorkerTerminatedError.self) {
          try await pool.submit(task, retries: 1) { (_: Condemned) -> Int in abort() }.value
        }
        #expect(second?.attempts == 2)
        #expect(second.map { ![worker[0], successor].contains($0.processIdentifier) } == true, "the last worker's")
      }
    }

    @Test func aTrapIsReportedWithItsMessageAndWithoutABacktrace() async throws {
      try await withPool(workers: 1) { pool in
        let error = await #expect(throws: WorkerTerminatedError.self) {
          try await pool.submit(1) { (_: Int) -> Int in fatalError("what went wrong") }.value
        }
        #expect(error?.standardErrorTail.contains("what went wrong") == true)
        // Its absence is also what makes a death heard of within milliseconds.
        #expect(error?.standardErrorTail.contains("rogram crashed") == false)
        #expect(error?.reason.signalName == Death.trapName)
        try await #expect(pool.submit { getenv("SWIFT_BACKTRACE") == nil }.value, "tasks see nothing of it")
      }
    }

    @Test func retriesRunATaskAgainThatItsWorkerDiedOf() async throws {
      try await withPool { pool in
        let second = pool.submit(try SharedGate(), retries: 3) { gate -> String in
          if gate.isOpen { return "alive" }
          gate.open()
          abort()
        }
        try await #expect(second.value == "alive")
        let never = pool.submit(1, retries: 2) { (_: Int) -> Int in abort() }
        let error = await #expect(throws: WorkerTerminatedError.self) { try await never.value }
        #expect(error?.attempts == 3)
        let throwing = pool.submit(try SharedGate(), retries: 2) { gate -> Int in
          if gate.isOpen { return 1 }
          gate.open()
          throw CancellationError()
        }
        await #expect(throws: CancellationError.self, "a task that throws is not run again") {
          try await throwing.value
        }
      }
    }

    @Test(arguments: [true, false])
    func faultsInResultsAreTheirElements(ordered: Bool) async throws {
      try await withPool { pool in
        await atSomePace { pace in
          var outcomes: [String] = []
          let limit = Duration.milliseconds(100 * pace)
          let results = pool.results(of: 0..<30, ordered: ordered, timeout: limit) { (n: Int) -> Int in
            switch opaque(n) {
            case 5: while opaque(n) == 5 {}
            case 11: abort()
            case 17: throw CancellationError()
            default: break
            }
            return n
          }
          for await result in results {
            switch result {
            case .success(let n): outcomes.append("\(n)")
            case .failure(is TimeoutError): outcomes.append("timeout")
            case .failure(is WorkerTerminatedError): outcomes.append("death")
            case .failure(is CancellationError): outcomes.append("thrown")
            case .failure(let error): outcomes.append("\(error)")
            }
          }
          let expected = (0..<30).map { [5: "timeout", 11: "death", 17: "thrown"][$0] ?? "\($0)" }
          return (ordered ? outcomes == expected : outcomes.sorted() == expected.sorted()) ? nil : "\(outcomes)"
        }
      }
    }

    @Test func mapsAndResultsRunAgainWhatItsWorkerDiedOf() async throws {
      try await withPool { pool in
        let gates = try (0..<6).map { _ in try SharedGate() }
        // Each dies once.
        let mapped = try await pool.map(gates[..<3], chunkSize: 1, retries: 1) { gate -> Bool in
          if gate.isOpen { return true }
          gate.open()
          abort()
        }.value
        #expect(mapped == [true, true, true])
        var again = 0
        let results = pool.results(of: Array(gates[3...]), retries: 1) { gate -> Bool in
          if gate.isOpen { return true }
          gate.open()
          abort()
        }
        for await result in results where try result.get() { again += 1 }
        #expect(again == 3)
        let error = await #expect(throws: WorkerTerminatedError.self) {
          try await pool.map(0..<2, retries: 2) { (_: Int) -> Int in abort() }.value
        }
        #expect(error?.attempts == 3)
      }
    }

    @Test func aTaskThatClosesItsWorkersDescriptorsFailsAlone() async throws {
      try await withPool(workers: 1) { pool in
        let closing = pool.submit(1) { (_: Int) -> Int in
          for descriptor in 3..<64 { close(Int32(descriptor)) }
          stayForever()
        }
        await #expect(throws: WorkerTerminatedError.self) { try await closing.value }
        try await #expect(pool.submit(2) { $0 }.value == 2)
      }
    }

    @Test func workersThatDieBetweenReadyAndTheirFirstTaskBreakThePool() async throws {
      let pool = makePool(workers: 1, initializer: MortalInitializer())
      // With it, the pool replaces workers without having anything to run.
      try await pool.start()
      for _ in 0..<ProcessPoolCore.PoolScheduler.mostEarlyDeaths {
        await eventually { pool.core.state.withLock { $0.scheduler.readyCount == 1 } }
        let victim = try #require(pool.workerProcessIdentifiers.first)
        kill(victim, MortalInitializer.signal)
        await eventually { pool.workerProcessIdentifiers.first != victim }
      }
      await eventually { pool.core.state.withLock { $0.scheduler.isStopped } }
      let error = await #expect(throws: BrokenExecutorError.self) { try await pool.submit(1) { $0 }.value }
      #expect(error?.reason.contains("code 9") == true)
      await pool.shutdown()
    }

    @Test func aSwiftAllocationBeyondTheMemoryLimitCostsItsTaskOnly() async throws {
      var options = ProcessPool.Options()
      options.memoryLimit = 1 << 30
      try await withPool(workers: 1, options: options) { pool in
        let large = pool.submit(2 << 30) { opaque([UInt8](repeating: 1, count: $0)).count }
        let others = (0..<20).map { pool.submit($0) { $0 } }
        let error = await #expect(throws: WorkerTerminatedError.self) { try await large.value }
        #expect(error?.reason.signalName != nil, "\(String(describing: error))")
        for (n, future) in others.enumerated() { try await #expect(future.value == n) }
      }
    }

    @Test func longStandardErrorDoesNotBlock() async throws {
      try await withPool(workers: 1) { pool in
        let error = await #expect(throws: WorkerTerminatedError.self) {
          try await pool.submit(1) { (_: Int) -> Int in
            for n in 0..<3000 { writeError("line \(n) of many\n") }
            exit(4)
          }.value
        }
        #expect(error?.standardErrorTail.hasSuffix("line 2999 of many") == true)
        #expect(error?.standardErrorTail.utf8.count ?? 0 <= 4096)
      }
    }
  }
}

final class Counter: @unchecked Sendable {
  private var count = 0
  func next() -> Int {
    count += 1
    return count
  }
}
