import FuturesTestLibc
import Testing

/// What process pools hold of the system, and nobody else in this process does: so other suites may run at the same time.
struct PoolLeftovers: Equatable, CustomStringConvertible {
  /// A handle of a worker has one pidfd, and closes its socket and its pipe together with it.
  var workers = 0
  /// Descriptors of channels and of shared arrays.
  var memoryObjects = 0
  /// Mappings of them.
  var mappings = 0
  /// Processes that this one has started as workers, and those that it has not reaped.
  var children = 0

  var description: String {
    "\(workers) handles of workers, \(memoryObjects) memory objects, \(mappings) mappings, \(children) children"
  }

  static func now() -> PoolLeftovers {
    var found = PoolLeftovers()
    #if os(Linux)
    for entry in SystemFiles.names(in: "/proc/self/fd") {
      let target = SystemFiles.target(of: "/proc/self/fd/\(entry)")
      if target.contains("pidfd") { found.workers += 1 }
      if target.contains("memfd:concurrent-futures") { found.memoryObjects += 1 }
    }
    let maps = SystemFiles.text(of: "/proc/self/maps")
    found.mappings = maps.split(separator: "\n").count { $0.contains("memfd:concurrent-futures") }
    found.children = children()
    #endif
    return found
  }

  /// Those of other suites run programs with other arguments; a zombie has none any more and is anybody's, for a moment.
  private static func children() -> Int {
    let own = "\(getpid())"
    return SystemFiles.names(in: "/proc").count { entry in
      guard Int32(entry) != nil,
        let rest = SystemFiles.text(of: "/proc/\(entry)/stat").split(separator: ")").last?.split(separator: " "),
        rest.count > 1, rest[1] == own
      else { return false }
      return rest[0] == "Z" || SystemFiles.text(of: "/proc/\(entry)/cmdline").contains("(worker of")
    }
  }
}

/// After every test of the suite: no child, no zombie, no descriptor and no shared memory of a pool is left.
struct LeavesNothingBehind: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await function()
    // A pool that was dropped drains by itself.
    var left = PoolLeftovers()
    await eventually("left after the test: \(left)") {
      left = PoolLeftovers.now()
      return left == PoolLeftovers()
    }
  }
}

extension Trait where Self == LeavesNothingBehind {
  static var leavesNothingBehind: Self { LeavesNothingBehind() }
}
