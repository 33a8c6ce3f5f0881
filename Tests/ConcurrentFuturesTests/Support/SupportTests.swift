import Testing

@testable import ConcurrentFutures

/// The tools themselves.
@Suite struct SupportTests {
  @Test func openGateLetsBothWorldsPass() async throws {
    let gate = Gate()
    async let thread = onThread { gate.pass() }
    async let task = gate.wait()
    await eventually { gate.waiterCount == 2 }
    gate.open()
    #expect(try await thread)
    #expect(await task)
    #expect(gate.waiterCount == 0)
    gate.close()
    #expect(!gate.isOpen)
  }

  @Test func probesAreCounted() async {
    let live = LiveCount()
    do {
      let probe = live.probe()
      #expect(live.count == 1)
      probe.touch()
    }
    #expect(live.count == 0)
    #expect(live.total == 1)
  }

  @Test func raceRunsEveryBodyInEveryRound() async throws {
    let runs = Tally()
    try await race(rounds: 100, prepare: { _ in Tally() }, [{ $0.add() }, { $0.add() }]) { _, tally in
      #expect(tally.count == 2)
      runs.add()
    }
    #expect(runs.count == 100)
  }
}

extension ProcessPools {
  @Suite struct Gates {
    @Test func openSharedGateLetsEveryProcessPass() async throws {
      let (there, back) = try (SharedGate(), SharedGate())
      try await withPool { pool in
        let futures = (0..<2).map { _ in
          pool.submit(there, back) { there, back -> Bool in
            back.open()
            return there.wait() && there.isOpen
          }
        }
        async let thread = onThread { there.wait() }
        await back.opened()
        #expect(!there.isOpen)
        there.open()
        for future in futures { try await #expect(future.value) }
        let passed = try await thread
        #expect(passed)
      }
    }
  }
}
