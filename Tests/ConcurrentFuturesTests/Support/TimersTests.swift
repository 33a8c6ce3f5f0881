import CPlatformSupport
import Synchronization
import Testing

@testable import ConcurrentFutures

@Suite struct TimerHeapTests {
  private func entry(_ time: UInt64, _ log: Log<UInt64>) -> TimerHeap.Entry {
    TimerHeap.Entry(deadline: Deadline(nanoseconds: time)) { log.append(time) }
  }

  @Test(arguments: 0..<10) func entriesAreDueInTheOrderOfTheirDeadlines(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var heap = TimerHeap()
    let log = Log<UInt64>()
    let times = (1...500).map { UInt64($0) }.shuffled(using: &random)
    var earliest = UInt64.max
    for time in times {
      #expect(heap.insert(entry(time, log)) == (time < earliest))
      earliest = min(earliest, time)
      #expect(heap.earliest?.nanoseconds == earliest)
    }
    while let body = heap.takeDue(at: 250) { body() }
    #expect(log.entries == Array(1...250))
    #expect(heap.earliest?.nanoseconds == 251)
    while let body = heap.takeDue(at: .max) { body() }
    #expect(log.entries == Array(1...500))
    #expect(heap.count == 0)
    #expect(heap.earliest == nil)
  }

  @Test(arguments: 0..<10) func cancelledEntriesAreNeverDue(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var heap = TimerHeap()
    let log = Log<UInt64>()
    let entries = (1...1000).map { UInt64($0) }.shuffled(using: &random).map { entry($0, log) }
    for entry in entries { _ = heap.insert(entry) }
    var left = Set(entries.map(\.deadline.nanoseconds))
    for entry in entries where entry.deadline.nanoseconds % 4 != 0 {
      #expect(heap.cancel(entry) != nil)
      #expect(heap.cancel(entry) == nil)
      left.remove(entry.deadline.nanoseconds)
      #expect(heap.count == left.count)
    }
    while let body = heap.takeDue(at: .max) { body() }
    #expect(log.entries == left.sorted())
    #expect(heap.count == 0)
  }

  @Test func cancelledEntryLetsGoOfItsCapturesAndTheHeapOfTheEntry() {
    let live = LiveCount()
    var heap = TimerHeap()
    weak var first: TimerHeap.Entry?
    var entries: [TimerHeap.Entry] = []
    for time in 0..<1000 {
      let probe = live.probe()
      let entry = TimerHeap.Entry(deadline: Deadline(nanoseconds: UInt64(time))) { probe.touch() }
      if time == 0 { first = entry }
      entries.append(entry)
      _ = heap.insert(entry)
    }
    for entry in entries { _ = heap.cancel(entry) }
    #expect(live.count == 0)
    entries = []
    // Forgotten long before they are due.
    #expect(first == nil)
    #expect(heap.count == 0)
  }

  @Test func entryThatWasTakenCannotBeCancelled() {
    var heap = TimerHeap()
    let log = Log<UInt64>()
    let entry = entry(1, log)
    _ = heap.insert(entry)
    #expect(heap.takeDue(at: 0) == nil)
    #expect(heap.takeDue(at: 1) != nil)
    #expect(heap.cancel(entry) == nil)
    #expect(heap.count == 0)
  }
}

@Suite struct TimersTests {
  @Test func timersFireInOrder() async {
    await atSomePace { pace in
      let log = Log<Int>()
      let all = Gate()
      let first = cf_now() + 5_000_000 * UInt64(pace)
      for index in [3, 0, 4, 1, 2] {
        _ = Timers.schedule(at: Deadline(nanoseconds: first + UInt64(index))) {
          log.append(index)
          if log.count == 5 { all.open() }
        }
      }
      // Were all of them there before the first fired?
      let isInTime = cf_now() < first
      await all.wait()
      if isInTime { #expect(log.entries == [0, 1, 2, 3, 4]) }
      return isInTime ? nil : "scheduling takes too long"
    }
  }

  @Test func earlierTimerGoesAheadOfTheOneThatTheThreadSleepsFor() async {
    let late = Timers.schedule(after: .seconds(3600)) { Issue.record("an hour is not over") }
    let gate = Gate()
    _ = Timers.schedule(after: .milliseconds(1)) { gate.open() }
    await gate.wait()
    late.cancel()
  }

  @Test func timerThatIsDueFiresAtOnce() async {
    let gate = Gate()
    _ = Timers.schedule(after: .zero) { gate.open() }
    await gate.wait()
  }

  @Test func cancelledTimerKeepsNothing() {
    let live = LiveCount()
    let token: Timers.Token
    do {
      let probe = live.probe()
      token = Timers.schedule(after: .seconds(3600)) { probe.touch() }
    }
    #expect(live.count == 1)
    token.cancel()
    token.cancel()
    #expect(live.count == 0)
  }
}

@Suite struct DeadlineTests {
  @Test func durationsAreClamped() {
    #expect(Duration.seconds(2).clampedNanoseconds == 2_000_000_000)
    #expect(Duration.nanoseconds(1).clampedNanoseconds == 1)
    #expect(Duration.seconds(-1).clampedNanoseconds == 0)
    #expect(Duration(secondsComponent: 0, attosecondsComponent: 1).clampedNanoseconds == 0)
    let longest = UInt64(Int64.max) / 2
    #expect(Duration.seconds(Int64.max).clampedNanoseconds == longest)
    // The sum with the clock does not overflow.
    #expect(Deadline(after: .seconds(Int64.max)).remaining > 0)
    #expect(Deadline(nanoseconds: 0).remaining == 0)
  }
}
