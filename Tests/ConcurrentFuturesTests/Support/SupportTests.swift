import Testing

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
