import Foundation
import Synchronization
import Testing

@testable import ConcurrentFutures

private func entry(_ number: Int) -> QueueEntry { QueueEntry(bits: UInt(number) << 4 | QueueEntry.frameKind) }
private func number(_ entry: QueueEntry?) -> Int? { entry.map { Int($0.bits >> 4) } }

@Suite struct ThreadPoolQueueTests {
  @Test func ringKeepsTheOrderWhileItGrowsAndWraps() {
    var ring = EntryRing(capacity: 2)
    var expected: [Int] = []
    var popped: [Int] = []
    var random = SeededGenerator(seed: 1)
    var next = 0
    for _ in 0..<5_000 {
      if Int.random(in: 0..<5, using: &random) < 3 {
        ring.append(entry(next))
        expected.append(next)
        next += 1
      } else if let value = number(ring.popFirst()) {
        popped.append(value)
      }
    }
    let count = ring.count
    #expect(count == expected.count - popped.count)
    while let value = number(ring.popFirst()) { popped.append(value) }
    #expect(popped == expected)
  }

  @Test func ringRemovesWhatIsUnwantedAndKeepsTheOrderOfTheRest() {
    var ring = EntryRing(capacity: 4)
    // The head in the middle of the buffer.
    for value in 0..<3 { ring.append(entry(value)) }
    for _ in 0..<3 { _ = ring.popFirst() }
    for value in 0..<10 { ring.append(entry(value)) }
    let removed = ring.remove { number($0)! % 3 == 0 }
    #expect(removed.compactMap(number) == [0, 3, 6, 9])
    var rest: [Int] = []
    while let value = number(ring.popFirst()) { rest.append(value) }
    #expect(rest == [1, 2, 4, 5, 7, 8])
  }

  @Test func ringTakesEntriesBackInFront() {
    var ring = EntryRing(capacity: 2)
    for value in 3...5 { ring.append(entry(value)) }
    for value in [2, 1, 0] { ring.prepend(entry(value)) }
    var order: [Int] = []
    while let value = number(ring.popFirst()) { order.append(value) }
    #expect(order == [0, 1, 2, 3, 4, 5])
  }

  @Test func ringIsFullBeforeItGrows() {
    var ring = EntryRing(capacity: 2)
    let atFirst = ring.isFull
    ring.append(entry(1))
    ring.append(entry(2))
    let later = ring.isFull
    #expect(!atFirst)
    #expect(later)
  }

  @Test func prioritiesMapToLanes() {
    #expect(Lane(.high) == .high)
    #expect(Lane(.userInitiated) == .high)
    #expect(Lane(.medium) == .medium)
    #expect(Lane(TaskPriority(rawValue: 0)) == .medium)
    #expect(Lane(.utility) == .low)
    #expect(Lane(.low) == .low)
    #expect(Lane(.background) == .background)
    #expect(Lane(TaskPriority(rawValue: 1)) == .background)
    #expect(Lane(TaskPriority(rawValue: 255)) == .high)
  }

  @Test func queueServesHigherLanesFirstAndEachInOrder() {
    var queue = WorkQueue()
    for (index, lane) in [Lane.background, .low, .medium, .high, .background, .low, .medium, .high].enumerated() {
      queue.append(entry(index), lane)
    }
    let urgent = queue.urgentCount
    #expect(urgent == 2)
    var order: [Int] = []
    while let value = number(queue.popFirst()) { order.append(value) }
    #expect(order == [3, 7, 2, 6, 1, 5, 0, 4])
    let count = queue.count
    #expect(count == 0)
  }

  @Test func everySixteenthTakeServesALowerLane() {
    var queue = WorkQueue()
    for index in 0..<64 { queue.append(entry(index), .high) }
    queue.append(entry(100), .background)
    queue.append(entry(101), .background)
    queue.append(entry(102), .low)
    var order: [Int] = []
    while let value = number(queue.popFirst()) { order.append(value) }
    #expect(order.count == 67)
    #expect(order[15] == 100)
    #expect(order[31] == 102)
    #expect(order[47] == 101)
  }

  @Test func noLaneStarvesWhileOthersAreAlwaysFull() {
    var queue = WorkQueue()
    for lane in Lane.allCases { queue.append(entry(lane.rawValue), lane) }
    var served = [0, 0, 0, 0]
    for _ in 0..<960 {
      let value = number(queue.popFirst())!
      served[value] += 1
      queue.append(entry(value), Lane(rawValue: value)!)
    }
    #expect(served == [900, 20, 20, 20])
  }

  @Test func batchesTakeMediumWorkOnlyAndOnlyAlone() {
    var queue = WorkQueue()
    queue.append(entry(1), .medium)
    queue.append(entry(2), .medium)
    let alone = number(queue.popAnotherMedium())
    queue.append(entry(3), .low)
    let withOthers = queue.popAnotherMedium() == nil
    #expect(alone == 1)
    #expect(withOthers)
  }

  @Test func removalCountsInEveryLane() {
    var queue = WorkQueue()
    for (index, lane) in Lane.allCases.enumerated() {
      queue.append(entry(index), lane)
      queue.append(entry(index + 10), lane)
    }
    let removed = queue.remove { number($0)! >= 10 }
    let (count, urgent) = (queue.count, queue.urgentCount)
    #expect(Set(removed.compactMap(number)) == [10, 11, 12, 13])
    #expect(count == 4)
    #expect(urgent == 1)
  }
}

@Suite struct CompactingQueueTests {
  @Test func keepsTheOrderAndOnlyWhatIsThere() {
    var queue = CompactingQueue<(Int, LeakProbe)>()
    let live = LiveCount()
    var popped: [Int] = []
    // Never empty, as the queue of a busy actor.
    for round in 0..<1_000 {
      queue.append((round, live.probe()))
      if round >= 100, let first = queue.popFirst() { popped.append(first.0) }
    }
    #expect(queue.count == 100)
    #expect(live.count == 100)
    #expect(popped == Array(0..<900))
    #expect(queue.removeAll().map(\.0) == Array(900..<1_000))
    #expect(live.count == 0)
    let rest = queue.popFirst()
    #expect(rest == nil)
  }
}

@Suite struct ThreadPoolDequeTests {
  @Test func ownerTakesTheNewestAndThievesTheOldest() {
    let deque = StealingDeque(capacity: 2)
    for value in 1...6 { deque.push(entry(value)) }
    #expect(deque.count == 6)
    #expect(number(deque.pop()) == 6)
    #expect(number(deque.steal()) == 1)
    #expect(!deque.pop(entry(4)))
    #expect(deque.pop(entry(5)))
    #expect(deque.steal { number($0) == 99 } == nil)
    #expect(number(deque.steal { number($0) == 2 }) == 2)
    #expect(number(deque.pop()) == 4)
    #expect(number(deque.pop()) == 3)
    #expect(deque.pop() == nil)
    #expect(deque.steal() == nil)
    #expect(deque.isEmpty)
  }

  /// The owner pushes and pops at random while thieves steal: every entry comes out once.
  @Test(arguments: [1, 3]) func everyEntryComesOutOnceUnderThieves(thieves: Int) async throws {
    let deque = StealingDeque(capacity: 2)
    let total = 200_000
    let isOver = Atomic(false)
    let box = Shared(isOver)
    let parts = try await onThreads(thieves + 1) { index -> [Int] in
      var taken: [Int] = []
      if index == 0 {
        var random = SeededGenerator(seed: 7)
        for value in 0..<total {
          deque.push(entry(value))
          switch Int.random(in: 0..<8, using: &random) {
          case 0..<3: if let value = number(deque.pop()) { taken.append(value) }
          case 3: if deque.pop(entry(value)) { taken.append(value) }
          case 4: if let value = number(deque.steal()) { taken.append(value) }
          default: break
          }
        }
        while let value = number(deque.pop()) { taken.append(value) }
        box.value.store(true, ordering: .releasing)
      } else {
        while !box.value.load(ordering: .acquiring) {
          if let value = number(deque.steal()) { taken.append(value) }
        }
        while let value = number(deque.steal()) { taken.append(value) }
      }
      return taken
    }
    #expect(parts.map(\.count).reduce(0, +) == total)
    #expect(Set(parts.joined()).count == total)
    // A thief sees the entries in their order.
    for part in parts.dropFirst() { #expect(part == part.sorted()) }
  }
}

private final class Shared<Value: ~Copyable & Sendable>: Sendable {
  let value: Value
  init(_ value: consuming Value) { self.value = value }
}

@Suite struct ThreadPoolBlockingCallTests {
  @Test func callThatIsCancelledBeforeItIsQueuedIsNotQueued() {
    var phase = BlockingCall.Phase()
    let (moves, queues, runs) = (phase.giveUp(CancellationError()), phase.queue(), phase.take())
    #expect(!moves && !queues && !runs)
    #expect(phase.error is CancellationError)
  }

  @Test func queuedCallIsTakenAwayOnce() {
    var phase = BlockingCall.Phase()
    let queues = phase.queue()
    #expect(queues)
    #expect(phase.error == nil)
    let (first, second, runs) = (phase.giveUp(TestError(1)), phase.giveUp(TestError(2)), phase.take())
    #expect(first && !second && !runs)
    #expect(phase.error as? TestError == TestError(1))
  }

  @Test func takenCallIsTooLateToGiveUp() {
    var phase = BlockingCall.Phase()
    let (queues, runs, runsTwice) = (phase.queue(), phase.take(), phase.take())
    #expect(queues && runs && !runsTwice)
    let moves = phase.giveUp(CancellationError())
    #expect(!moves)
    #expect(phase.error == nil)
  }
}

@Suite struct ThreadPoolBriefWaitsTests {
  @Test func onlyACallThatIsAloneIsLookedFor() {
    let waits = BriefWaits(isUseful: true)
    let (first, second) = (waits.begin(), waits.begin())
    #expect(first && !second)
    waits.end()
    let third = waits.begin()
    #expect(!third)
    waits.end()
    waits.end()
    let last = waits.begin()
    #expect(last)
  }

  @Test func afterFailuresInARowOnlyEverySixteenthIsLookedFor() {
    let waits = BriefWaits(isUseful: true)
    func tries(_ count: Int, succeeding: Bool) -> Int {
      (0..<count).count { _ in
        defer { waits.end() }
        guard waits.begin() else { return false }
        waits.looked(succeeding)
        return true
      }
    }
    #expect(tries(4, succeeding: false) == 4)
    #expect(tries(160, succeeding: false) == 10)
    // The first that succeeds makes them usual again.
    #expect((1...16).contains { _ in tries(1, succeeding: true) == 1 })
    #expect(tries(20, succeeding: true) == 20)
  }

  @Test func aTaskIsSuspendedNowAndThenThoughAllSucceed() {
    let waits = BriefWaits(isUseful: true)
    let looked = (0..<1000).map { _ in
      defer { waits.end() }
      let mayLook = waits.begin()
      if mayLook { waits.looked(true) }
      return mayLook
    }
    #expect(looked.firstIndex(of: false) == 256)
    #expect(looked.count { !$0 } == 3)
  }

  @Test func withOneCoreNothingIsLookedFor() {
    let waits = BriefWaits(isUseful: false)
    let looks = (0..<100).count { _ in
      defer { waits.end() }
      return waits.begin()
    }
    #expect(looks == 0)
  }

  @Test func threadsOfAPoolHaveOtherThingsToDo() async throws {
    let pool = ThreadPool(maxWorkers: 1)
    let looks = try await pool.submit {
      let waits = BriefWaits(isUseful: true)
      return waits.begin()
    }.value
    #expect(!looks)
    await pool.shutdown()
  }
}

@Suite struct ThreadPoolLockTests {
  @Test func lockExcludesOthers() async throws {
    let counter = Counter()
    let (threads, rounds) = (6, 30_000)
    _ = try await onThreads(threads) { index in
      for round in 0..<rounds {
        counter.lock.lock()
        counter.value += 1
        // Sometimes the holder loses its core, so that the others sleep.
        if round % 5_000 == index { sched_yield() }
        counter.lock.unlock()
      }
    }
    #expect(counter.lock.withLock { counter.value } == threads * rounds)
  }

  private final class Counter: @unchecked Sendable {
    let lock = AdaptiveLock()
    var value = 0
    deinit { lock.destroy() }
  }
}
