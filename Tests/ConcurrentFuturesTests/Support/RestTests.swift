#if os(Linux)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What the kernel says of a thread: whether it sleeps, and how often it has gone to sleep by itself.
///
/// A thread that sleeps at two times and has not gone to sleep in between has not run. How often others took its core away says
/// nothing.
private struct ThreadRest: Equatable {
  let name: String
  let isAsleep: Bool
  let sleeps: Int

  /// Nil for a thread that is gone.
  init?(process: Int32, thread: String) {
    let status = SystemFiles.text(of: "/proc/\(process)/task/\(thread)/status")
    var fields: [Substring: Substring] = [:]
    for line in status.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { fields[parts[0]] = parts[1].drop { $0 == "\t" || $0 == " " } }
    }
    guard let name = fields["Name"], let state = fields["State"],
      let sleeps = fields["voluntary_ctxt_switches"].flatMap({ Int($0) })
    else { return nil }
    self.name = String(name)
    self.sleeps = sleeps
    isAsleep = state.hasPrefix("S")
  }

  /// Threads of a process, by their numbers.
  static func all(of process: Int32, where isWanted: (ThreadRest) -> Bool) -> [String: ThreadRest] {
    var all: [String: ThreadRest] = [:]
    for thread in SystemFiles.names(in: "/proc/\(process)/task") {
      if let rest = ThreadRest(process: process, thread: thread), isWanted(rest) { all[thread] = rest }
    }
    return all
  }

  /// The thread on which a worker runs its tasks.
  static func main(of process: Int32) -> [String: ThreadRest] {
    ["\(process)": ThreadRest(process: process, thread: "\(process)")].compactMapValues { $0 }
  }
}

/// Returns when threads have not run for a while, in which this one computes.
private func rested(
  _ count: Int, sourceLocation: SourceLocation = #_sourceLocation, _ threads: () -> [String: ThreadRest]
) async {
  var last: [String: ThreadRest] = [:]
  await eventually("they run: \(last)", sourceLocation: sourceLocation) {
    let before = threads()
    compute(for: .milliseconds(200))
    last = threads()
    return last == before && last.count == count && last.values.allSatisfy(\.isAsleep)
  }
}

@Suite struct ThreadPoolRestTests {
  @Test func threadsWithoutWorkDoNotRun() async throws {
    let pool = ThreadPool(maxWorkers: 4, name: "at-rest", queueLimit: .unlimited, keepAlive: .seconds(3600))
    let blockade = await Blockade(pool, 4)
    try await blockade.end()
    for _ in 0..<100 { try await pool.submit {}.value }
    await eventually { pool.core.withState { $0.idle.count == 4 } }
    await rested(4) { ThreadRest.all(of: getpid()) { $0.name.hasPrefix("at-rest-") } }
    #expect(pool.statistics.threads == 4)
    await pool.shutdown()
  }
}

extension ProcessPools {
  @Suite struct Rest {
    /// Neither the driver's thread nor those of a worker, whether it has just run something or never.
    @Test(arguments: [false, true])
    func poolsWithoutWorkDoNotRun(wereUsed: Bool) async throws {
      try await withPool(workers: 2) { pool in
        // The driver looks after its workers so often.
        pool.core.patience = 3_600_000_000_000
        try await pool.start()
        if wereUsed {
          for n in 0..<100 { try await #expect(pool.submit(n) { $0 }.value == n) }
        }
        await rested(1) { ThreadRest.all(of: getpid()) { $0.name == "test" } }
        for process in pool.workerProcessIdentifiers {
          // Those of ours: sanitizers have threads, too.
          await rested(2) {
            ThreadRest.all(of: process) { $0.name == "cf-watch" }.merging(ThreadRest.main(of: process)) { $1 }
          }
        }
        try await #expect(pool.submit(1) { $0 }.value == 1)
      }
    }

    /// The ring to a parent that takes nothing has room left, but not enough for the next answer.
    @Test func workersThatWaitForRoomDoNotRun() async throws {
      try await withPool(workers: 1) { pool in
        try await pool.start()
        let process = try #require(pool.workerProcessIdentifiers.first)
        let (blocked, goOn) = (Gate(), Gate())
        pool.submit(1) { $0 }.addDoneCallback { _ in
          blocked.open()
          goOn.pass()
        }
        await blocked.wait()
        pool.core.handOutAhead(4)
        let size = 200 * 1024
        #expect(ChannelMemory.ringSize % size > 64 * 1024 && size < RingReader.inPlaceLimit)
        let answers = (0..<4).map { _ in pool.submit(size) { [UInt8](repeating: 7, count: $0) } }
        #expect(pool.core.inFlight == 4)
        await rested(1) { ThreadRest.main(of: process) }
        goOn.open()
        for answer in answers { try await #expect(answer.value.count == size) }
      }
    }

    /// A task that blocks is no reason to look for what it does.
    @Test func driversOfBusyWorkersDoNotRun() async throws {
      try await withPool(workers: 2) { pool in
        pool.core.patience = 3_600_000_000_000
        let blockade = try await WorkerBlockade(pool, 2)
        let queued = (0..<10).map { pool.submit($0) { $0 } }
        await rested(1) { ThreadRest.all(of: getpid()) { $0.name == "test" } }
        #expect(blockade.holds)
        try await blockade.end()
        for (n, future) in queued.enumerated() { try await #expect(future.value == n) }
      }
    }
  }
}
#endif
