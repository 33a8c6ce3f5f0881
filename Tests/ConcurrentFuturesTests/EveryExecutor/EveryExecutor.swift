import CPlatformSupport
import Libc
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

/// A word that the test and its tasks see at once, wherever these run: a gate, or a mark.
struct SharedWord: Codable, Sendable {
  private let memory: SharedArray<UInt32>

  init() throws { memory = try SharedArray(repeating: 0, count: 1) }

  var isSet: Bool { memory.withUnsafeMutableBufferPointer { cf_load_acquire($0.baseAddress!) } != 0 }
  func set() { memory.withUnsafeMutableBufferPointer { cf_store_release($0.baseAddress!, 1) } }

  /// Blocks until the word is set; false after some minutes, so that a broken test ends.
  func waitUntilSet() -> Bool {
    // A gate of this process is no gate of another: looked at every millisecond.
    for _ in 0..<patience * 1000 {
      if isSet { return true }
      usleep(1000)
    }
    return false
  }
}

struct EveryError: Error, Codable, Equatable { var code: Int }

/// Says that it runs, waits for its gate, and returns its number.
struct Gated: ProcessTask {
  var number = 0
  let begun: SharedWord
  let gate: SharedWord

  func run() throws -> Int {
    begun.set()
    if !gate.waitUntilSet() { throw EveryError(code: -1) }
    return number
  }
}

struct Mark: ProcessTask {
  let mark: SharedWord
  func run() -> Bool {
    mark.set()
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
