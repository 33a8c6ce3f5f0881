#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// An element that knows its chunk, as a worker decodes all of a chunk before it runs the first.
private struct Passenger: Codable, Sendable {
  nonisolated(unsafe) private static var chunk = 0
  nonisolated(unsafe) private static var someHaveRun = false

  init() {}

  init(from decoder: any Decoder) throws {
    _ = try decoder.singleValueContainer().decode(Bool.self)
    if Self.someHaveRun { Self.chunk += 1 }
    Self.someHaveRun = false
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(true)
  }

  /// The number of its chunk, among those of its worker.
  func run() -> Int {
    Self.someHaveRun = true
    return Self.chunk
  }
}

/// How many elements each chunk had that one worker has done.
private func sizes(_ chunks: [Int]) -> [Int] {
  var sizes: [Int] = []
  for (index, chunk) in chunks.enumerated() {
    if index > 0, chunk == chunks[index - 1] { sizes[sizes.count - 1] += 1 } else { sizes.append(1) }
  }
  return sizes
}

extension ProcessPools {
  /// Elements that travel in chunks.
  @Suite struct Mapping {
    @Test func chunksAreOfTheGivenSize() async throws {
      try await withPool(workers: 1) { pool in
        let chunks = try await pool.map(repeatElement(Passenger(), count: 10), chunkSize: 4) { $0.run() }.value
        #expect(sizes(chunks) == [4, 4, 2])
      }
    }

    @Test func chunksOfShortElementsGrow() async throws {
      try await withPool(workers: 1) { pool in
        let end = ContinuousClock.now + .seconds(patience)
        var largest = 1
        // One grows whenever it takes a quarter of what it may, which a busy machine does not always let it.
        while largest <= 3, ContinuousClock.now < end {
          let sizes = sizes(try await pool.map(repeatElement(Passenger(), count: 100)) { $0.run() }.value)
          #expect(sizes[0] == 1, "before anything was measured")
          largest = max(largest, sizes.max()!)
        }
        #expect(largest > 3)
      }
    }

    @Test func chunksOfLongElementsShrink() async throws {
      try await withPool(workers: 1) { pool in
        let chunks = try await pool.map(repeatElement(Passenger(), count: 256)) { passenger -> Int in
          // As long as a whole chunk should take.
          compute(for: .milliseconds(1))
          return passenger.run()
        }.value
        let sizes = sizes(chunks)
        #expect(sizes[0] == 4, "before anything was measured")
        // So many are sent ahead.
        #expect(sizes.dropFirst(3).allSatisfy { $0 == 1 }, "\(sizes)")
      }
    }

    @Test(arguments: [nil, 1, 5])
    func cancellingStopsWhatRunsAndKeepsTheRestFromStarting(chunkSize: Int?) async throws {
      let gate = try SharedGate()
      try await withCountingPool(100, workers: 2, options: patient, gate: gate) { pool, counts in
        let future = pool.map(0..<100, chunkSize: chunkSize) { (n: Int) -> Int in
          beginElement(n)
          waitAtGate()
          return n
        }
        await eventually { counts.begun(0..<100) == 2 }
        let processes = pool.workerProcessIdentifiers
        #expect(future.cancel())
        await #expect(throws: CancellationError.self) { try await future.value }
        gate.open()
        // What was left in a queue would begin before it.
        try await #expect(pool.submit(1) { $0 }.value == 1)
        await eventually { !processes.contains(where: isAlive) }
        #expect(counts.begun(0..<100) == 2, "a chunk stops before its next element")
      }
    }

    @Test(arguments: [nil, 1, 5])
    func theFirstErrorKeepsTheRestFromStarting(chunkSize: Int?) async throws {
      let gate = try SharedGate()
      try await withCountingPool(100, workers: 1, options: patient, gate: gate) { pool, counts in
        let future = pool.map(0..<100, chunkSize: chunkSize) { (n: Int) -> Int in
          beginElement(n)
          if n == 3 { throw RemoteError(typeName: "Element", message: "\(n)") }
          if n > 3 { waitAtGate() }
          return n
        }
        let error = await #expect(throws: RemoteError.self) { try await future.value }
        #expect(error?.message.contains("Element") == true)
        gate.open()
        try await #expect(pool.submit(1) { $0 }.value == 1)
        #expect(counts.begun(0..<4) == 4)
        // The worker may have begun with it before the error was heard of, and has then stopped.
        #expect(counts.begun(4..<100) <= 1)
      }
    }

    /// A worker that is asked to stop stays until its task has ended.
    private var patient: ProcessPool.Options {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .seconds(patience)
      return options
    }
  }
}
#endif
