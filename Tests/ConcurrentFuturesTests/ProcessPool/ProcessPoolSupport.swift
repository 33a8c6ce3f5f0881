import FuturesTestLibc
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

extension ProcessPoolCore {
  /// Hands out so many tasks to a pool's only worker, however long they take, until another one has ended.
  func handOutAhead(_ count: Int) { state.withLock { $0.scheduler.workers[0]!.window = count } }

  /// The time of all that run with a time limit is up.
  func endTimeLimits() {
    state.withLock { state in
      for index in state.scheduler.workers.indices where state.scheduler.workers[index]?.deadline != nil {
        state.scheduler.workers[index]!.deadline = 0
      }
    }
    driver.wake()
  }

  /// How many tasks the only worker has.
  var inFlight: Int { state.withLock { $0.scheduler.workers[0]!.inFlight } }
}

/// The value, which the optimiser must take for any other.
@inline(never) @_optimize(none)
func opaque<T>(_ value: T) -> T { value }

func isAlive(_ process: Int32) -> Bool { kill(process, 0) == 0 }

/// Stops a child, and returns when it has stopped.
func stop(_ process: Int32) async throws {
  kill(process, SIGSTOP)
  let seen = try await onThread { () -> Int32 in
    var information = siginfo_t()
    return waitid(P_PID, id_t(process), &information, WSTOPPED | WNOWAIT)
  }
  #expect(seen == 0)
}

/// Tasks that hold workers of a pool until they are let go.
struct WorkerBlockade {
  private let gate: SharedGate
  private let futures: [Future<Bool>]

  /// Returns when `count` of them run, each on a worker of its own.
  init(_ pool: ProcessPool, _ count: Int = 1) async throws {
    let gate = try SharedGate()
    let begun = try (0..<count).map { _ in try SharedGate() }
    self.gate = gate
    futures = begun.map { begun in
      pool.submit(begun, gate) { begun, gate -> Bool in
        begun.open()
        return gate.wait()
      }
    }
    for begun in begun { await begun.opened() }
  }

  var holds: Bool { futures.allSatisfy { !$0.isDone } }

  func end() async throws {
    gate.open()
    for future in futures { try await #expect(future.value) }
  }
}
