#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// In a worker: what fills its table of descriptors.
nonisolated(unsafe) private var fillers: [Int32] = []

private func fillTable() {
  while true {
    let next = dup(0)
    if next < 0 { return }
    fillers.append(next)
  }
}

private func emptyTable() {
  for descriptor in fillers { close(descriptor) }
  fillers = []
}

extension ProcessPools {
  /// Shared arrays are descriptors, of which a process has so many.
  @Suite struct Descriptors {
    private var options: ProcessPool.Options {
      var options = ProcessPool.Options()
      options.openFileLimit = 64
      return options
    }

    @Test func aWorkerWithoutRoomForSharedArraysRefusesTheTaskAndLives() async throws {
      let arrays = try (0..<8).map { try SharedArray(repeating: $0, count: 4) }
      try await withPool(workers: 1, options: options) { pool in
        let process = try await pool.submit { () -> Int32 in
          fillTable()
          return getpid()
        }.value
        for count in [1, 8, 3] {
          let future = pool.submit(Array(arrays[..<count])) { $0.count }
          let error = await #expect(throws: TaskEncodingError.self) { try await future.value }
          #expect(error?.subject == .argument)
          #expect(error?.reason.contains("no descriptor left") == true, "\(String(describing: error))")
          #expect(error?.reason.contains("openFileLimit") == true, "the remedy")
        }
        try await pool.submit { emptyTable() }.value
        try await #expect(pool.submit(arrays) { $0.map { $0[0] } }.value == Array(0..<8))
        try await #expect(pool.submit { getpid() }.value == process)
      }
    }

    /// Some fit, and the others do not.
    @Test func sharedArraysThatArriveInPartAreLetGo() async throws {
      let arrays = try (0..<8).map { try SharedArray(repeating: $0, count: 4) }
      try await withPool(workers: 1, options: options) { pool in
        let free = try await pool.submit { () -> Int in
          fillTable()
          for _ in 0..<5 { close(fillers.removeLast()) }
          return 5
        }.value
        await #expect(throws: TaskEncodingError.self) { try await pool.submit(arrays) { $0.count }.value }
        let after = try await pool.submit { () -> Int in
          let before = fillers.count
          fillTable()
          return fillers.count - before
        }.value
        #expect(after == free)
      }
    }

    @Test func aParentWithoutRoomForASharedArrayFailsItsTaskAlone() async throws {
      try await withPool(workers: 1, options: options) { pool in
        let outcomes = try await pool.submit { () -> [String] in
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          func outcome(_ future: Future<SharedArray<Int>>) -> String {
            do { return "\(try future.wait()[0])" } catch let error as TaskEncodingError {
              return "\(error.subject) \(error.reason.contains("no descriptor left"))"
            } catch {
              return "\(error)"
            }
          }
          func array() -> Future<SharedArray<Int>> { inner.submit(7) { try SharedArray(repeating: $0, count: 4) } }
          let before = outcome(array())
          let process = try inner.submit { getpid() }.wait()
          fillTable()
          let full = outcome(array())
          let neighbour = try inner.submit(1) { $0 + 1 }.wait()
          emptyTable()
          let same = try inner.submit { getpid() }.wait() == process
          return [before, full, "\(neighbour)", outcome(array()), "\(same)"]
        }.value
        #expect(outcomes == ["7", "result true", "2", "7", "true"])
      }
    }
  }
}
#endif
