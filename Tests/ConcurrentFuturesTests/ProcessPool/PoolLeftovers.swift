import Foundation
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
    let manager = FileManager.default
    for entry in (try? manager.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
      let target = (try? manager.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(entry)")) ?? ""
      if target.contains("pidfd") { found.workers += 1 }
      if target.contains("memfd:concurrent-futures") { found.memoryObjects += 1 }
    }
    let maps = read("/proc/self/maps")
    found.mappings = maps.split(separator: "\n").count { $0.contains("memfd:concurrent-futures") }
    found.children = children(manager)
    #endif
    return found
  }

  /// Those of other suites run programs with other arguments; a zombie has none any more and is anybody's, for a moment.
  private static func children(_ manager: FileManager) -> Int {
    let own = ProcessInfo.processInfo.processIdentifier
    return ((try? manager.contentsOfDirectory(atPath: "/proc")) ?? []).count { entry in
      guard Int32(entry) != nil,
        let rest = read("/proc/\(entry)/stat").split(separator: ")").last?.split(separator: " "),
        rest.count > 1, rest[1] == "\(own)"
      else { return false }
      return rest[0] == "Z" || read("/proc/\(entry)/cmdline").contains("(worker of")
    }
  }

  /// Foundation reads files of /proc in part or not at all, and leaks where one is empty.
  private static func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { all += piece[..<count] }
    return String(decoding: all, as: UTF8.self)
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
    await eventually("left after the test: \(left)", within: .seconds(10)) {
      left = PoolLeftovers.now()
      return left == PoolLeftovers()
    }
  }
}

extension Trait where Self == LeavesNothingBehind {
  static var leavesNothingBehind: Self { LeavesNothingBehind() }
}
