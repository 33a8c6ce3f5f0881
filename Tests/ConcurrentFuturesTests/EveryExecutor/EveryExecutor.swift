import Testing

@testable import ConcurrentFutures

/// The pools that should behave alike: threads, and processes.
enum Executor: String, CaseIterable, CustomTestStringConvertible {
  case threads
  case processes

  var testDescription: String { rawValue }

  func makePool(workers: Int = 2) -> any TaskPool {
    switch self {
    case .threads: ThreadPool(maxWorkers: workers, name: "every")
    case .processes: ConcurrentFuturesTests.makePool(workers: workers)
    }
  }

  func withPool(workers: Int = 2, _ body: (any TaskPool) async throws -> Void) async throws {
    let pool = makePool(workers: workers)
    do { try await body(pool) } catch {
      await pool.shutdown(cancelPending: true)
      throw error
    }
    await pool.shutdown(cancelPending: false)
  }
}

struct EveryError: Error, Codable, Equatable { var code: Int }

/// Says that it runs, waits for its gate, and returns its number.
struct Gated: ProcessTask {
  var number = 0
  let begun: SharedGate
  let gate: SharedGate

  func run() throws -> Int {
    begun.open()
    if !gate.wait() { throw EveryError(code: -1) }
    return number
  }
}

struct Mark: ProcessTask {
  let mark: SharedGate
  func run() -> Bool {
    mark.open()
    return true
  }
}

struct Doubled: ProcessTask {
  var number: Int
  func run() -> Int { number * 2 }
}

struct Throw: ProcessTask {
  var code: Int
  func run() throws -> Int { throw EveryError(code: code) }
}

struct DoubledLater: AsyncProcessTask {
  var number: Int
  func run() async throws -> Int {
    await Task.yield()
    if number < 0 { throw EveryError(code: number) }
    return number * 2
  }
}
