#if os(Linux) || os(macOS)
import FuturesTestLibc
import Synchronization
import Testing

@testable import ConcurrentFutures

/// In a worker: gates that it was given.
nonisolated(unsafe) private var keptGates: [SharedGate] = []

/// In a worker: whether none of those elements has run here.
nonisolated(unsafe) private var isFirstLongElement = true

/// A number that cannot always travel.
private struct Picky: Codable, Sendable {
  enum Manner: UInt8, Codable { case easy, refusesToBeEncoded, cannotBeDecoded, killsWhoDecodes }
  var number: Int
  var manner = Manner.easy
  let home = getpid()

  init(_ number: Int, _ manner: Manner = .easy) {
    self.number = number
    self.manner = manner
  }

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    number = try container.decode(Int.self)
    manner = try container.decode(Manner.self)
    if manner == .cannotBeDecoded { throw RemoteError(typeName: "Picky", message: "\(number)") }
    if manner == .killsWhoDecodes { abort() }
  }

  func encode(to encoder: any Encoder) throws {
    if manner == .refusesToBeEncoded { throw RemoteError(typeName: "Picky", message: "\(number)") }
    var container = encoder.unkeyedContainer()
    try container.encode(number)
    try container.encode(manner)
  }
}

private func outcome<T>(_ result: Result<T, any Error>) -> String {
  switch result {
  case .success(let value): "\(value)"
  case .failure(let error as TaskEncodingError): "\(error.subject)"
  case .failure(let error): "\(type(of: error))"
  }
}

extension ProcessPools {
  /// Streams of results, whose short elements travel together.
  @Suite struct Results {
    @Test(arguments: [true, false])
    func shortElementsTravelTogether(ordered: Bool) async throws {
      try await withPool { pool in
        let function = try FunctionRegistry.closure1({ @Sendable (n: Int) -> Int in n * 2 }, .each)
        let feed = ElementFeed<Int, Int, Int>(
          function, pool.core, mostInFlight: nil, timeout: nil, retries: 0, unpack: { $0 })
        let end = ContinuousClock.now + .seconds(patience)
        var largest = 1
        // It shrinks whenever the machine takes a worker's processor away.
        while largest <= 3, ContinuousClock.now < end {
          var seen: [Int] = []
          for await result in ResultStream(0..<20_000, ordered: ordered, feed) {
            seen.append(try result.get())
            largest = max(largest, feed.batchSize)
          }
          #expect((ordered ? seen : seen.sorted()) == (0..<20_000).map { $0 * 2 })
        }
        #expect(largest > 3)
        // With room for few there is room for few together.
        let narrow = ElementFeed<Int, Int, Int>(
          function, pool.core, mostInFlight: 16, timeout: nil, retries: 0, unpack: { $0 })
        for await _ in ResultStream(0..<2000, ordered: ordered, narrow) { #expect(narrow.batchSize <= 2) }
      }
    }

    @Test func longElementsAndThoseWithATimeLimitTravelAlone() async throws {
      try await withPool { pool in
        let function = try FunctionRegistry.closure1({ @Sendable (n: Int) -> Int in n }, .each)
        let limited = ElementFeed<Int, Int, Int>(
          function, pool.core, mostInFlight: nil, timeout: .seconds(60), retries: 0, unpack: { $0 })
        for await _ in ResultStream(0..<2000, ordered: true, limited) {}
        #expect(limited.batchSize == 1)
        let large = try FunctionRegistry.closure1({ @Sendable (bytes: [UInt8]) -> Int in bytes.count }, .each)
        let feed = ElementFeed<[UInt8], Int, Int>(
          large, pool.core, mostInFlight: nil, timeout: nil, retries: 0, unpack: { $0 })
        let bytes = [UInt8](repeating: 1, count: 300 << 10)
        for await result in ResultStream(repeatElement(bytes, count: 100), ordered: true, feed) {
          let length = try result.get()
          #expect(length == bytes.count)
          #expect(feed.batchSize == 1)
        }
      }
    }

    /// Short elements have made long chunks when the long ones come. A worker's second long one waits for another worker's first,
    /// which only comes if the rest of its chunk is handed back.
    @Test(arguments: [true, false])
    func elementsThatBecomeLongAreDoneByAllWorkers(ordered: Bool) async throws {
      try await withCountingPool(5301) { pool, counts in
        let results = pool.results(of: 0..<5300, ordered: ordered) { (n: Int) -> Int32 in
          beginElement(n)
          if n < 5000 { return 0 }
          if isFirstLongElement {
            isFirstLongElement = false
            sharedTally(5300) { _ = $0.add(1, ordering: .sequentiallyConsistent) }
            // More than a chunk may take.
            compute(for: .milliseconds(3))
          } else {
            let end = ContinuousClock.now + .seconds(patience)
            while sharedTally(5300, { $0.load(ordering: .sequentiallyConsistent) }) < 2, ContinuousClock.now < end {
              sched_yield()
            }
          }
          return getpid()
        }
        var workers: [Int32: Int] = [:]
        for await result in results { workers[try result.get(), default: 0] += 1 }
        #expect(workers.count == 3 && workers[0] == 5000, "\(workers)")
        for n in 0..<5300 { #expect(counts[n] == 1) }
      }
    }

    @Test(arguments: [true, false], [0, 1])
    func aDeathCostsItsElementOnlyAndNoElementRunsTwice(ordered: Bool, retries: Int) async throws {
      let count = 6000
      try await withCountingPool(count) { pool, counts in
        let results = pool.results(of: 0..<count, ordered: ordered, retries: retries) { (n: Int) -> Int in
          let time = beginElement(n)
          // These die each time, and those the first time only.
          if n % 1500 == 700 || (n % 1500 == 701 && time == 1) { abort() }
          if n % 100 == 99 { throw CancellationError() }
          return n
        }
        var outcomes: [String] = []
        for await result in results { outcomes.append(outcome(result)) }
        func dies(_ n: Int) -> Bool { n % 1500 == 700 || (n % 1500 == 701 && retries == 0) }
        let expected = (0..<count).map { n in
          dies(n) ? "WorkerTerminatedError" : n % 100 == 99 ? "CancellationError" : "\(n)"
        }
        #expect(ordered ? outcomes == expected : outcomes.sorted() == expected.sorted())
        for n in 0..<count {
          let times = retries > 0 && [700, 701].contains(n % 1500) ? 2 : 1
          #expect(counts[n] == times, "element \(n)")
        }
      }
    }

    @Test(arguments: [true, false])
    func whatCannotTravelCostsItsElementOnly(ordered: Bool) async throws {
      let count = 3000
      try await withCountingPool(count) { pool, counts in
        let elements = (0..<count).map { n in
          switch n {
          case 800, 2000: Picky(n, .refusesToBeEncoded)
          case 1200, 2001: Picky(n, .cannotBeDecoded)
          case 1700, 2300: Picky(n, .killsWhoDecodes)
          default: Picky(n)
          }
        }
        let results = pool.results(of: elements, ordered: ordered) { (element: Picky) -> Picky in
          beginElement(element.number)
          var answer = element
          // In the parent, or in the worker.
          if element.number % 1000 == 4 { answer.manner = .cannotBeDecoded }
          if element.number % 1000 == 5 { answer.manner = .refusesToBeEncoded }
          return answer
        }
        var outcomes: [String] = []
        for await result in results { outcomes.append(outcome(result.map(\.number))) }
        let expected = (0..<count).map { n in
          switch n {
          case 800, 2000, 1200, 2001: "argument"
          case 1700, 2300: "WorkerTerminatedError"
          default: [4, 5].contains(n % 1000) ? "result" : "\(n)"
          }
        }
        #expect(ordered ? outcomes == expected : outcomes.sorted() == expected.sorted())
        let never = Set([800, 2000, 1200, 2001, 1700, 2300])
        for n in 0..<count { #expect(counts[n] == (never.contains(n) ? 0 : 1), "element \(n)") }
      }
    }

    /// The rest of the chunk of an element that hangs is given up with it, and its worker is stopped.
    @Test(arguments: [true, false])
    func aLoopThatIsLeftStopsWhatRuns(ordered: Bool) async throws {
      try await withCountingPool(1, workers: 1) { pool, _ in
        var seen = 0
        for await result in pool.results(
          of: 0..., ordered: ordered,
          { (n: Int) -> Int in
            if n < 2500 {
              beginElement(0)
              return n
            }
            // Elements do not always begin in their order: the first that comes after all those before hangs.
            while sharedTally(0, { $0.load(ordering: .sequentiallyConsistent) }) == 2500 {}
            return n
          })
        {
          if try result.get() < 2500 { seen += 1 }
          if seen == 2500 { break }
        }
        #expect(seen == 2500)
        try await #expect(pool.submit(1) { $0 }.value == 1)
      }
    }

    /// What had been accepted runs although the pool takes nothing new when its chunk has to travel again.
    @Test func aShutdownLosesNoElementThatWasAccepted() async throws {
      let count = 50_000
      try await withCountingPool(count, workers: 1) { pool, counts in
        var outcomes: [String] = []
        var end: Task<Void, Never>?
        for await result in pool.results(
          of: 0..<count,
          { (n: Int) -> Int in
            beginElement(n)
            if n % 50 == 25 { exit(0) }
            return n
          })
        {
          outcomes.append(outcome(result))
          if outcomes.count == 2000 { end = Task { await pool.shutdown() } }
        }
        await end?.value
        let accepted = outcomes.firstIndex(of: "ExecutorShutDownError") ?? count
        #expect(accepted >= 2000)
        for n in 0..<accepted {
          #expect(outcomes[n] == (n % 50 == 25 ? "WorkerTerminatedError" : "\(n)"))
          #expect(counts[n] == 1)
        }
        for n in accepted..<count { #expect(outcomes[n] == "ExecutorShutDownError" && counts[n] == 0) }
      }
    }

    /// With one worker, all that was submitted before a task has begun when the task has ended.
    @Test(arguments: [true, false], [1, 5, 40])
    func noMoreHaveBegunAndAreNotTakenThanMayBeInFlight(ordered: Bool, maxInFlight: Int) async throws {
      let count = 300
      try await withCountingPool(count, workers: 1) { pool, counts in
        var (taken, most) = (0, 0)
        for await result in pool.results(
          of: 0..<count, maxInFlight: maxInFlight, ordered: ordered,
          { (n: Int) -> Int in
            beginElement(n)
            return n
          })
        {
          _ = try result.get()
          taken += 1
          _ = try await pool.submit(0) { $0 }.value
          most = max(most, counts.begun(0..<count) - taken)
        }
        #expect(most <= maxInFlight)
        #expect(taken == count && counts.begun(0..<count) == count)
      }
    }

    @Test(arguments: [true, false])
    func cancellingTheTaskEndsTheLoopAndTheRestNeverStarts(ordered: Bool) async throws {
      let gate = try SharedGate()
      var options = ProcessPool.Options()
      // The worker is asked to stop, and stays until the gate opens.
      options.terminationGracePeriod = .seconds(patience)
      // Elements do not always begin in their order, so they are counted together.
      try await withCountingPool(1, workers: 1, options: options, gate: gate) { pool, counts in
        let loop = Task {
          var taken = 0
          for await _ in pool.results(
            of: 0..<2000, ordered: ordered,
            { (n: Int) -> Int in
              if beginElement(0) == 700 { waitAtGate() }
              return n
            })
          { taken += 1 }
          return taken
        }
        await eventually { counts.begun(0..<1) == 700 }
        let process = try #require(pool.workerProcessIdentifiers.first)
        loop.cancel()
        let taken = await loop.value
        #expect(taken < 700)
        gate.open()
        // What was left in a queue would begin before it.
        try await #expect(pool.submit(1) { $0 }.value == 1)
        #expect(counts.begun(0..<1) == 700)
        await eventually { !isAlive(process) }
      }
    }

    /// Cancelled chunks are under way; the pool and all that belongs to it go nevertheless.
    @Test(arguments: [true, false])
    func aLoopThatIsLeftKeepsNothingAlive(ordered: Bool) async throws {
      weak var core: ProcessPoolCore?
      do {
        let pool = makePool()
        core = pool.core
        for _ in 0..<3 {
          var seen = 0
          for await _ in pool.results(of: 0..., ordered: ordered, { $0 }) {
            seen += 1
            if seen == 3000 { break }
          }
        }
        for await _ in pool.results(of: 0..<5000, ordered: ordered, { $0 }) {
          // In the middle.
          await pool.shutdown(cancelPending: true)
        }
      }
      await eventually("the pool is kept") { core == nil }
    }

    @Test func aStreamKeepsItsPool() async throws {
      func squares() -> ResultStream<Int> { makePool().results(of: 0..<3000) { $0 * $0 } }
      var next = 0
      for await result in squares() {
        let value = try result.get()
        #expect(value == next * next)
        next += 1
      }
      #expect(next == 3000)
    }

    /// What has not begun does not run, though it has travelled together with what has.
    @Test func aShutdownThatCancelsStopsChunksInTheMiddle() async throws {
      let count = 20_000
      try await withCountingPool(count, workers: 1) { pool, counts in
        let (here, goOn) = try (SharedGate(), SharedGate())
        try await pool.submit([here, goOn]) { keptGates = $0 }.value
        let shutdown = Task {
          await here.opened()
          // Something is behind it.
          await eventually {
            pool.core.state.withLock { $0.scheduler.tasks.count - $0.scheduler.freeTasks.count > 1 }
          }
          pool.core.shutDown(cancelPending: true)
          goOn.open()
        }
        var outcomes: [String] = []
        for await result in pool.results(
          of: 0..<count,
          { (n: Int) -> Int in
            beginElement(n)
            if n == 5000 {
              keptGates[0].open()
              keptGates[1].wait()
            }
            return n
          })
        { outcomes.append(outcome(result)) }
        await shutdown.value
        #expect(outcomes[5000] == "5000")
        #expect(outcomes.contains("CancellationError"))
        // What has begun has its result; what has not was cancelled, or came after the shutdown.
        let wrong = (0..<count).filter { n in
          let isHeld = ["CancellationError", "ExecutorShutDownError"].contains(outcomes[n])
          return counts[n] == 1 ? outcomes[n] != "\(n)" : !isHeld
        }
        #expect(wrong.isEmpty && counts.withUnsafeBufferPointer { !$0.contains { $0 > 1 } })
      }
    }

    @Test func killedWorkersLoseNothingThatMayRunAgain() async throws {
      try await withPool(workers: 2) { pool in
        let killer = Task {
          for _ in 0..<40 where !Task.isCancelled {
            _ = try? await pool.submit(1) { $0 }.value
            if let victim = pool.workerProcessIdentifiers.randomElement() { kill(victim, SIGKILL) }
          }
        }
        var next = 0
        for await result in pool.results(of: 0..<20_000, retries: 100, { $0 + 1 }) {
          next += 1
          let value = try result.get()
          #expect(value == next)
        }
        #expect(next == 20_000)
        killer.cancel()
        await killer.value
      }
    }

    @Test func aFunctionThatCannotTravelFailsEachElement() async throws {
      try await withPool(workers: 1) { pool in
        let captured = opaque(5)
        var count = 0
        for await result in pool.results(of: 0..<3, { $0 + captured }) {
          #expect(throws: TaskEncodingError.self) { try result.get() }
          count += 1
        }
        #expect(count == 3)
      }
    }
  }
}
#endif
