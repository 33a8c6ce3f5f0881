#if os(Linux) || os(macOS)
import CPlatformSupport
import FuturesTestLibc
import Synchronization
import Testing

@testable import ConcurrentFutures

/// A long result, which the parent decodes no further than to a gate.
private struct SlowResult: Codable, Sendable {
  static let begun = Tally()
  static let gate = Gate()
  /// The thread that has decoded one last.
  static let decoder = Atomic(UInt(0))
  var words: [String]
  let home = getpid()

  init(_ count: Int) { words = (0..<count).map { "word \($0)" } }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    words = try container.decode([String].self, forKey: .words)
    if try container.decode(Int32.self, forKey: .home) != getpid() {
      Self.decoder.store(currentThread(), ordering: .sequentiallyConsistent)
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
      _ body: ([Future<SlowResult>]) async throws -> Void
    ) async throws {
      SlowResult.gate.close()
      let before = SlowResult.begun.count
      let futures = try await start(pool)
      await eventually { SlowResult.begun.count > before }
      try await body(futures)
      #expect(!futures.contains { $0.isDone })
      SlowResult.gate.open()
      for future in futures {
        let value = try await future.value
        #expect(value.words.count == 40_000 && value.words.last == "word 39999")
      }
    }

    @Test func aLongResultDelaysNobodyElse() async throws {
      try await withPool { pool in
        try await whileDecoding(pool, { [slowly($0)] }) { _ in
          for future in (0..<200).map({ pool.submit($0) { $0 } }) { _ = try await future.value }
        }
        for await result in pool.results(of: [40_000, 2], { SlowResult($0) }) {
          let value = try result.get()
          #expect(value.words.count >= 2)
        }
      }
    }

    /// Until a thread that waits has read its own answer, which it tries for some tens of microseconds. `body` runs while that
    /// thread is decoding, with the future and the thread's name.
    private func whileAWaitingThreadDecodes(
      _ pool: ProcessPool, _ body: (Future<SlowResult>, UInt) async throws -> Void
    ) async throws {
      let function = try FunctionRegistry.closure1({ @Sendable (n: Int) -> SlowResult in SlowResult(n) })
      let argument = try PayloadCoder.shared.encodePayload(40_000)
      // With one processor no thread looks for anything.
      guard AdaptiveSpin.isUseful else { return }
      let end = ContinuousClock.now + .seconds(patience)
      while ContinuousClock.now < end {
        SlowResult.gate.close()
        let begun = SlowResult.begun.count
        let work = TypedProcessWork<SlowResult, SlowResult>(function, argument, timeout: nil, pool: pool.core) { $0 }
        let future = work.makeFuture()
        let helper = Atomic(UInt(0))
        async let waiting: Void = onThread {
          helper.store(currentThread(), ordering: .sequentiallyConsistent)
          pool.core.submit(work, retries: 0)
          while !pool.core.help(work, future), SlowResult.begun.count == begun {}
        }
        await eventually { SlowResult.begun.count > begun }
        let decoder = SlowResult.decoder.load(ordering: .sequentiallyConsistent)
        let isHelper = decoder == helper.load(ordering: .sequentiallyConsistent)
        if isHelper { try await body(future, decoder) }
        SlowResult.gate.open()
        try await waiting
        try await #expect(future.value.words.count == 40_000)
        if isHelper { return }
      }
      Issue.record("no waiting thread read its own answer")
    }

    @Test func aThreadThatDecodesItsOwnResultDelaysNobodyElse() async throws {
      try await withPool { pool in
        try await whileAWaitingThreadDecodes(pool) { future, _ in
          for future in (0..<20).map({ pool.submit($0) { $0 } }) { _ = try await future.value }
          #expect(!future.isDone)
        }
      }
    }

    @Test func callbacksThatComeWhileAWaitingThreadDecodesRunElsewhere() async throws {
      let pool = makePool()
      let ran = Future<UInt>()
      var decoder: UInt = 0
      try await whileAWaitingThreadDecodes(pool) { future, thread in
        decoder = thread
        future.addDoneCallback { _ in
          pool.shutdownAndWait()
          ran.complete(with: .success(currentThread()))
        }
      }
      let thread = try await ran.value(within: .seconds(patience))
      #expect(thread != decoder)
    }

    @Test func shutdownWaitsForWhatIsBeingDecoded() async throws {
      let pool = makePool()
      var down: Task<Bool, Never>?
      try await whileDecoding(pool, { [slowly($0)] }) { futures in
        down = Task {
          await pool.shutdown()
          return futures.allSatisfy(\.isDone)
        }
        await eventually { pool.core.state.withLock { !$0.scheduler.isOpen } && pool.workerProcessIdentifiers.isEmpty }
        #expect(!pool.core.closed.isDone)
      }
      let wereDone = await down?.value
      #expect(wereDone == true)
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
      try await #expect(done.value(within: .seconds(patience)) == 42)
    }

    /// More than are decoded at once.
    @Test func manyLongResultsAllCome() async throws {
      try await withPool { pool in
        try await whileDecoding(pool, { pool in (0..<8).map { _ in slowly(pool) } }) { _ in }
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
