import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

func runProblem() async throws {
  // snippet: the problem
  await withTaskGroup { group in
    for _ in 0..<200 {
      group.addTask { _ = usleep(20_000) }  // any call that blocks: a file system, a C library, a lock
    }
  }
  // end

  // snippet: the remedy
  try await withThrowingTaskGroup { group in
    for _ in 0..<200 {
      group.addTask { _ = try await ThreadPool.shared.run { usleep(20_000) } }
    }
    try await group.waitForAll()
  }
  // end
}
