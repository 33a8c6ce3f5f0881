import CPlatformSupport
import Testing

@testable import ConcurrentFutures

/// A condition that never comes true, and what was asked of it.
private struct Looks {
  private(set) var count = 0
  /// How many came when the time was over, by the clock of the looks themselves.
  private(set) var late = 0
  private let limit: UInt64
  private var start: UInt64 = 0

  init(limit: UInt64 = 0) { self.limit = limit }

  /// The clock is read after each 64th look: what comes after that look comes after the time has begun to count.
  mutating func look() -> Bool {
    count += 1
    guard count > 64 else { return false }
    let now = cf_now()
    if start == 0 { start = now }
    if now - start > limit { late += 1 }
    return false
  }
}

/// Looking for something for a while before sleeping.
@Suite struct SpinningTests {
  @Test(arguments: [1, 1000, 200_000] as [UInt64])
  func aSpinThatFindsNothingEndsWithTheFirstLookAtTheClockThatIsTooLate(limit: UInt64) {
    var looks = Looks(limit: limit)
    #expect(!Spinning.until(limit: limit) { looks.look() })
    #expect(looks.count > 64)
    // Up to the next look at the clock, and the last one.
    #expect(looks.late <= 65)
  }

  @Test func aSpinWithoutTimeLooksOnce() {
    var looks = Looks()
    #expect(!Spinning.until(limit: 0) { looks.look() })
    #expect(looks.count == 1)
    #expect(Spinning.until(limit: 0) { true })
  }

  @Test(arguments: [1, 2, 63, 64, 65, 1000])
  func aSpinEndsWithTheLookThatFinds(_ finding: Int) {
    var looks = 0
    #expect(
      Spinning.until(limit: .max) {
        looks += 1
        return looks == finding
      })
    #expect(looks == finding)
  }

  /// What came true while the core was another thread's is not missed.
  @Test func theLastLookComesAfterTheTime() {
    var looks = 0
    let found = Spinning.until(limit: 1) {
      looks += 1
      // The clock is read after the 64th look, and again after the 128th, when the time is over.
      return looks == 129
    }
    #expect(found)
  }
}

#if os(Linux) || os(macOS)
/// Looking again before sleeping, as often as it pays off.
@Suite struct AdaptiveSpinTests {
  /// Which of some spins in a row look at all, and how often.
  private func looks(_ spin: inout AdaptiveSpin, _ count: Int, finding: Bool = false) -> [Int: Int] {
    var all: [Int: Int] = [:]
    for index in 0..<count {
      let found = spin.spin {
        all[index, default: 0] += 1
        return finding
      }
      #expect(found == (all[index] != nil && finding))
    }
    return all
  }

  @Test func failuresInARowMakeSpinsRare() {
    var spin = AdaptiveSpin(limit: 0, isUseful: true)
    let spins = looks(&spin, 100)
    #expect(spins.keys.sorted() == [0, 1, 2, 3, 16, 32, 48, 64, 80, 96])
    // To the first look at the clock.
    #expect(spins.values.allSatisfy { $0 == 64 })
  }

  @Test func aSuccessMakesSpinsCommonAgain() {
    var spin = AdaptiveSpin(limit: 0, isUseful: true)
    #expect(looks(&spin, 16).count == 4)
    #expect(looks(&spin, 3, finding: true) == [0: 1, 1: 1, 2: 1])
    #expect(looks(&spin, 16).keys.sorted() == [0, 1, 2, 3])
  }

  @Test func fewerFailuresThanThatChangeNothing() {
    var spin = AdaptiveSpin(limit: 0, isUseful: true)
    for _ in 0..<50 {
      #expect(looks(&spin, 3).count == 3)
      #expect(looks(&spin, 1, finding: true) == [0: 1])
    }
  }

  @Test(arguments: [1, 3000, 50_000] as [UInt64])
  func aSpinThatFindsNothingEndsWithTheFirstLookAtTheClockThatIsTooLate(limit: UInt64) {
    var spin = AdaptiveSpin(limit: limit, isUseful: true)
    var seen = Looks(limit: limit)
    #expect(!spin.spin { seen.look() })
    #expect(seen.count > 64)
    #expect(seen.late <= 64)
  }

  @Test func whereThereIsOneCoreNothingIsLookedAt() {
    var spin = AdaptiveSpin(isUseful: false)
    #expect(looks(&spin, 40, finding: true).isEmpty)
  }
}
#endif
