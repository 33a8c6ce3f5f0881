import Libc
import Testing

@testable import ConcurrentFutures

/// All that starts processes, one after the other: what is left after a test is that test's.
@Suite(.serialized, .leavesNothingBehind) struct ProcessPools {}

/// A pool whose workers have a small environment.
func makePool(
  workers: Int = 2, maxTasksPerWorker: Int? = nil, initializer: (any ProcessTask)? = nil,
  options: ProcessPool.Options = ProcessPool.Options(), spawnFailure: (@Sendable () -> Int32)? = nil
) -> ProcessPool {
  var options = options
  if options.environment == nil {
    options.environment = ["PATH": "/usr/bin:/bin"]
    if let path = getenv("LD_LIBRARY_PATH") { options.environment!["LD_LIBRARY_PATH"] = String(cString: path) }
  }
  return ProcessPool(
    maxWorkers: workers, maxTasksPerWorker: maxTasksPerWorker, name: "test", initializer: initializer,
    options: options, injectedSpawnFailure: spawnFailure)
}

func withPool<R>(
  workers: Int = 2, maxTasksPerWorker: Int? = nil, options: ProcessPool.Options = ProcessPool.Options(),
  _ body: (ProcessPool) async throws -> R
) async throws -> R {
  let pool = makePool(workers: workers, maxTasksPerWorker: maxTasksPerWorker, options: options)
  do {
    let result = try await body(pool)
    await pool.shutdown()
    #expect(pool.workerProcessIdentifiers.isEmpty)
    return result
  } catch {
    await pool.killWorkers()
    throw error
  }
}

/// The value, which the optimiser must take for any other.
@inline(never) @_optimize(none)
func opaque<T>(_ value: T) -> T { value }

/// Looks until it is so, some seconds at most.
func soon(_ condition: () -> Bool) async -> Bool {
  for _ in 0..<2000 {
    if condition() { return true }
    try? await Task.sleep(for: .milliseconds(5))
  }
  return false
}

func isAlive(_ process: Int32) -> Bool { kill(process, 0) == 0 }

/// A file that a task makes to say how far it is.
struct Flag: Codable, Sendable {
  let path: String

  init() { path = "/tmp/cf-flag-\(getpid())-\(UInt64.random(in: 0 ... .max))" }

  func raise() { close(open(path, O_CREAT | O_WRONLY, 0o600)) }
  var isRaised: Bool { access(path, F_OK) == 0 }
  func lower() { unlink(path) }
  func wait() { while !isRaised { usleep(1000) } }
}
