import Synchronization
import Testing

/// Counts the ``LeakProbe``s of one test.
final class LiveCount: Sendable {
  private let live = Atomic(0)
  private let made = Atomic(0)

  /// How many probes are alive.
  var count: Int { live.load(ordering: .sequentiallyConsistent) }
  /// How many there ever were.
  var total: Int { made.load(ordering: .sequentiallyConsistent) }

  func probe() -> LeakProbe { LeakProbe(self) }

  fileprivate func born() {
    live.add(1, ordering: .sequentiallyConsistent)
    made.add(1, ordering: .sequentiallyConsistent)
  }
  fileprivate func died() { live.subtract(1, ordering: .sequentiallyConsistent) }
}

/// An object to capture, return or throw: its ``LiveCount`` knows whether it is still there.
final class LeakProbe: Error, Sendable {
  private let live: LiveCount
  init(_ live: LiveCount) {
    self.live = live
    live.born()
  }
  deinit { live.died() }

  /// Keeps a closure's capture of the probe from being optimised away.
  @inline(never) func touch() {}
}

/// Counts the probes that `body` leaves alive.
func probesAlive(after body: (LiveCount) async throws -> Void) async rethrows -> Int {
  let live = LiveCount()
  try await body(live)
  return live.count
}

/// What this process holds of the system.
enum ProcessResources {
  static var threadCount: Int { SystemFiles.names(in: "/proc/self/task").count }
  static var openDescriptors: Int { SystemFiles.names(in: "/proc/self/fd").count }
}
