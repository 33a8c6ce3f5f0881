#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// A long result, which the parent decodes no further than to a gate.
private struct SlowResult: Codable, Sendable {
  static let begun = Tally()
  static let gate = Gate()
  var words: [String]
  let home = getpid()

  init(_ count: Int) { words = (0..<count).map { "word \($0)" } }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    words = try container.decode([String].self, forKey: .words)
    if try container.decode(Int32.self, forKey: .home) != getpid() {
      Self.begun.add()
      Self.gate.pass()
    }
  }

  private enum CodingKeys: CodingKey { case words, home }
}

extension ProcessPools {
  /// Results that take long to decode.
  @Suite struct Decoding {
    private func slowly(_ pool: ProcessPool) -> Future<SlowResult> { pool.submit(40_000) { SlowResult($0) } }

    /// Runs `body` while the results of `futures` are being decoded.
    private func whileDecoding(
      _ pool: ProcessPool, _ start: (ProcessPool) async throws -> [Future<SlowResult>],
      _ body: () async throws -> Void
    ) async throws {
      SlowResult.gate.close()
      let before = SlowResult.begun.count
      let futures = try await start(pool)
      await eventually { SlowResult.begun.count > before }
      try await body()
      #expect(!futures.contains { $0.isDone })
      SlowResult.gate.open()
      for future in futures {
        let value = try await future.value
        #expect(value.words.count == 40_000 && value.words.last == "word 39999")
      }
    }

    @Test func aLongResultDelaysNobodyElse() async throws {
      try await withPool { pool in
        try await whileDecoding(pool, { [slowly($0)] }) {
          for future in (0..<200).map({ pool.submit($0) { $0 } }) { _ = try await future.value }
        }
        for await result in pool.results(of: [40_000, 2], { SlowResult($0) }) {
          let value = try result.get()
          #expect(value.words.count >= 2)
        }
      }
    }

    /// The thread that waits reads the answers of a hot pool itself.
    @Test func aThreadThatDecodesItsOwnResultDelaysNobodyElse() async throws {
      try await withPool { pool in
        for _ in 0..<20 {
          var waiting: Task<Void, any Error>?
          try await whileDecoding(
            pool,
            { pool in
              let result = slowly(pool)
              waiting = Task {
                try await onThread {
                  for n in 0..<50 { _ = try pool.submit(n) { $0 }.wait() }
                  _ = try result.wait()
                }
              }
              return [result]
            }
          ) {
            for future in (0..<20).map({ pool.submit($0) { $0 } }) { _ = try await future.value }
          }
          try await waiting?.value
        }
      }
    }

    @Test func shutdownWaitsForWhatIsBeingDecoded() async throws {
      let pool = makePool()
      var down: Task<Void, Never>?
      try await whileDecoding(pool, { [slowly($0)] }) {
        down = Task { await pool.shutdown() }
        await eventually { pool.core.state.withLock { !$0.scheduler.isOpen } && pool.workerProcessIdentifiers.isEmpty }
        #expect(!pool.core.closed.isDone)
      }
      await down?.value
    }

    @Test func callbacksOfLongResultsMayBlockForTheirPool() async throws {
      SlowResult.gate.open()
      let pool = makePool(workers: 1)
      let done = Future<Int>()
      slowly(pool).addDoneCallback { result in
        let inner = try? pool.submit(2) { $0 + 40 }.wait()
        pool.shutdownAndWait()
        done.complete(with: .success(inner ?? 0))
      }
      try await #expect(done.value == 42)
    }

    /// More than are decoded at once.
    @Test func manyLongResultsAllCome() async throws {
      try await withPool { pool in
        try await whileDecoding(pool, { pool in (0..<8).map { _ in slowly(pool) } }) {}
        SlowResult.gate.open()
        let counts = Array(30_000..<30_040)
        var seen: [Int] = []
        for await result in pool.results(of: counts, { SlowResult($0) }) { seen.append(try result.get().words.count) }
        #expect(seen == counts)
      }
    }
  }
}
#endif
