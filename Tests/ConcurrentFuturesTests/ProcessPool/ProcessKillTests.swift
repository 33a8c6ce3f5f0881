import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

extension ProcessPools {
  /// Workers that are killed from outside, which is the same with sanitizers.
  @Suite struct Kills {
    @Test(arguments: [SIGKILL, SIGTERM])
    func idleWorkersThatAreKilledAreReplaced(_ signal: Int32) async throws {
      try await withPool(workers: 1) { pool in
        try await pool.start()
        // More than would break the pool if they had ended by themselves.
        for _ in 0..<8 {
          let victim = try #require(pool.workerProcessIdentifiers.first)
          kill(victim, signal)
          await eventually { ![nil, victim].contains(pool.workerProcessIdentifiers.first) }
        }
        try await #expect(pool.submit(1) { $0 }.value == 1)
      }
    }

    @Test(arguments: [1, 2, 5])
    func killingWorkersAtRandomLosesOnlyWhatRan(_ workers: Int) async throws {
      try await withPool(workers: workers) { pool in
        let futures = (0..<stress(3000)).map {
          pool.submit($0, retries: 100) { (n: Int) -> Int in
            compute(for: .microseconds(50))
            return n + 1
          }
        }
        for (n, future) in futures.enumerated() {
          try await #expect(future.value == n + 1)
          // At most 78 in all: fewer than the pool takes in a row for a sign that nothing works.
          if n % 38 == 37, let victim = pool.workerProcessIdentifiers.randomElement() { kill(victim, SIGKILL) }
        }
      }
    }

    @Test func killingWorkersWhileLargePayloadsTravel() async throws {
      try await withPool(workers: 2) { pool in
        let payload = [UInt8](repeating: 7, count: 64 << 20)
        let futures = (0..<4).map { _ in pool.submit(payload, retries: 50) { $0 } }
        for _ in 0..<12 {
          // Somewhere in a payload on its way there, or when all of it is there and the result is on its way back.
          let reach = UInt64.random(in: 1...64 << 20)
          var victim: WorkerHandle?
          await eventually("no payload came so far") {
            victim = pool.core.workers.first { $0.readPosition >= reach }
            return victim != nil || futures.allSatisfy(\.isDone)
          }
          victim?.kill()
        }
        for future in futures { try await #expect(future.value.count == 64 << 20) }
      }
    }

    @Test func workersDieWithTheirParent() async throws {
      try await withPool(workers: 1) { pool in
        let grandchild = try await pool.submit { () -> Int32 in
          let inner = makePool(workers: 1)
          let begun = try SharedGate()
          inner.submit(begun) { begun -> Int in
            begun.open()
            while opaque(true) {}
            return 1
          }
          begun.wait()
          leaked = inner
          return inner.workerProcessIdentifiers[0]
        }.value
        #expect(isAlive(grandchild))
        kill(pool.workerProcessIdentifiers[0], SIGKILL)
        await eventually { !isAlive(grandchild) }
      }
    }
  }
}

nonisolated(unsafe) private var leaked: ProcessPool?
