import ConcurrentFutures

private func readWholeFile(_ path: String) throws -> [UInt8] { Array(path.utf8) }
private func parse(_ bytes: [UInt8]) -> Int { bytes.count }

// snippet: actor
let databasePool = ThreadPool(maxWorkers: 2, name: "database")

actor Database {
  private let executor = databasePool.makeSerialExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  func rows(_ query: String) -> [String] { blockingQuery(query) }  // blocks a thread of the pool, one at a time
}
// end

private func blockingQuery(_ query: String) -> [String] { [query] }

func runBridges() async throws {
  let path = "data"
  let pool = ThreadPool(maxWorkers: 2)

  // snippet: run
  let bytes = try await ThreadPool.shared.run { try readWholeFile(path) }
  // end
  expect(bytes.count == 4)

  // snippet: executor
  let count = try await withTaskExecutorPreference(pool.taskExecutor) {
    parse(try readWholeFile(path))  // everything in here that has no actor runs on the pool's threads
  }
  // end
  expect(count == 4)

  // snippet: async body
  let future = pool.submit { () async throws -> Int in
    let bytes = try await ThreadPool.shared.run { try readWholeFile(path) }  // holds no thread of `pool` meanwhile
    return parse(bytes)
  }
  // end
  expect(try await future.value == 4)
  expect(await Database().rows("x") == ["x"])
}
