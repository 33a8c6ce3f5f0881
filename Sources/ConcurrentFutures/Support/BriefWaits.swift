import CPlatformSupport
import Synchronization

/// Whether a Task should look for what it waits for on its own thread for a while, instead of being suspended at once.
///
/// A Task that is resumed goes through Swift's default executor, which mostly has to wake a thread for it: 4 to 50 µs, where a
/// short call is over in one. Only while no other Task waits for the same pool: where many do, the thread has others to run. And
/// after some failures in a row only every sixteenth time: most work takes longer.
struct BriefWaits: ~Copyable {
  private let waitsUnderWay = Atomic(0)
  // Both in a row. Nothing depends on their exactness, should two waits change them at once.
  private let failures = Atomic<UInt>(0)
  private let successes = Atomic<UInt>(0)
  /// After so many the Task is suspended once: the thread may have others to run.
  private static var mostInARow: UInt { 256 }
  private let isUseful: Bool

  init(isUseful: Bool = Spinning.limit > 0) { self.isUseful = isUseful }

  /// A wait begins; whether its end may be looked for.
  func begin() -> Bool {
    let isAlone = waitsUnderWay.add(1, ordering: .relaxed).oldValue == 0
    guard isAlone, isUseful, cf_thread().pointee.worker == nil else { return false }
    let failures = failures.load(ordering: .relaxed)
    if failures >= 4, failures & 15 != 0 {
      self.failures.store(failures &+ 1, ordering: .relaxed)
      return false
    }
    let successes = successes.load(ordering: .relaxed)
    self.successes.store(successes < Self.mostInARow ? successes &+ 1 : 0, ordering: .relaxed)
    return successes < Self.mostInARow
  }

  func looked(_ succeeded: Bool) {
    if succeeded {
      if failures.load(ordering: .relaxed) != 0 { failures.store(0, ordering: .relaxed) }
    } else {
      failures.add(1, ordering: .relaxed)
      successes.store(0, ordering: .relaxed)
    }
  }

  func end() { waitsUnderWay.subtract(1, ordering: .relaxed) }
}
