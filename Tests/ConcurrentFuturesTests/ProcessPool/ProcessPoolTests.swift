import Dispatch
import FuturesTestLibc
import Synchronization
import Testing

@testable import ConcurrentFutures

private struct Secret: Codable, Sendable, Hashable { var value: Int }
private enum Shape: Codable, Sendable, Equatable { case circle(Double), square(side: Double), none }
private struct CodableFailure: Error, Codable, Equatable { var code: Int }
private struct PlainFailure: Error { var text: String }

struct Sum<N: Codable & Sendable & AdditiveArithmetic>: ProcessTask {
  var numbers: [N]
  func run() throws -> N { numbers.reduce(.zero, +) }
}

/// Suspends, and is resumed by another thread.
struct Suspended: AsyncProcessTask {
  func run() async -> Int32 {
    await withCheckedContinuation { continuation in DispatchQueue.global().async { continuation.resume() } }
    return getpid()
  }
}

struct Unencodable: Codable, Sendable {
  func encode(to encoder: any Encoder) throws { throw CodableFailure(code: 77) }
  init(from decoder: any Decoder) throws {}
  init() {}
}

struct Undecodable: Codable, Sendable {
  init(from decoder: any Decoder) throws { throw CodableFailure(code: 78) }
  init() {}
}

/// Notes which threads of its own process decode it.
struct DecodedSomewhere: Codable, Sendable {
  static let threads = Mutex<Set<UInt>>([])
  static var thread: UInt { UInt(bitPattern: pthread_self().hashValue) }
  init() {}
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    _ = try container.decode(Int.self)
    Self.threads.withLock { _ = $0.insert(Self.thread) }
  }
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(1)
  }
}

extension ProcessPools {
  @Suite struct Submitting {
    /// Decoding may take any time: with a time limit it is another thread's.
    @Test func threadsThatWaitForALimitedTimeDecodeNothing() async throws {
      let waiter = try await ThreadPool.shared.submit { () -> UInt in
        let pool = makePool(workers: 1)
        defer { pool.shutdownAndWait() }
        // Hot, so that answers come at once.
        for _ in 0..<500 { _ = try pool.submit(1) { _ in DecodedSomewhere() }.wait(timeout: .seconds(patience)) }
        return DecodedSomewhere.thread
      }.value
      let threads = DecodedSomewhere.threads.withLock { $0 }
      #expect(!threads.isEmpty && !threads.contains(waiter))
    }

    @Test func closuresRunInOtherProcesses() async throws {
      try await withPool { pool in
        try await #expect(pool.submit(20) { $0 + 1 }.value == 21)
        try await #expect(pool.submit { getpid() }.value != getpid())
        try await #expect(pool.submit(3, "x") { String(repeating: $1, count: $0) }.value == "xxx")
        try await #expect(pool.submit(["a": [1, 2]]) { $0.mapValues(\.count) }.value == ["a": 2])
        try await #expect(pool.submit(5) { (n: Int) -> Int? in n > 4 ? nil : n }.value == nil)
        // Suspends, and is resumed by another thread.
        let asynchronous = pool.submit(4) { (n: Int) async throws -> Int in
          await withCheckedContinuation { continuation in DispatchQueue.global().async { continuation.resume() } }
          return n * n
        }
        try await #expect(asynchronous.value == 16)
      }
    }

    @Test func tasksAndGenericTasks() async throws {
      try await withPool { pool in
        try await #expect(pool.submit(Sum(numbers: [1, 2, 3])).value == 6)
        try await #expect(pool.run(Sum(numbers: [0.5, 0.25]), timeout: .seconds(patience)) == 0.75)
        try await #expect(pool.submit(Suspended()).value != getpid())
      }
    }

    @Test func privateTypesTravel() async throws {
      struct Local: Codable, Sendable { var name: String }
      try await withPool { pool in
        try await #expect(pool.submit(Secret(value: 2)) { Secret(value: $0.value * 2) }.value == Secret(value: 4))
        try await #expect(pool.submit([Shape.circle(2), .none]) { Array($0.reversed()) }.value == [.none, .circle(2)])
        try await #expect(pool.submit(Local(name: "n")) { [$0.name: [$0]] }.value["n"]?.first?.name == "n")
        try await #expect(pool.submit(Set([Secret(value: 1)])) { $0.first }.value == Secret(value: 1))
      }
    }

    @Test func theSameTaskRunsOnBothKindsOfPool() async throws {
      func total(on pool: some TaskPool) async throws -> Int { try await pool.submit(Sum(numbers: [1, 2])).value }
      try await withPool { try await #expect(total(on: $0) == 3) }
      let threads = ThreadPool(maxWorkers: 1)
      try await #expect(total(on: threads) == 3)
      await threads.shutdown()
    }

    @Test func errorsArriveAsThemselvesWhenTheyCan() async throws {
      try await withPool(workers: 1) { pool in
        await #expect(throws: CodableFailure(code: 4)) {
          try await pool.submit(4) { (n: Int) -> Int in throw CodableFailure(code: n) }.value
        }
        let remote = await #expect(throws: RemoteError.self) {
          try await pool.submit(4) { (n: Int) -> Int in throw PlainFailure(text: "n\(n)") }.value
        }
        #expect(remote?.message.contains("n4") == true)
        #expect(remote?.typeName.contains("PlainFailure") == true)
        await #expect(throws: CancellationError.self) {
          try await pool.submit(4) { (_: Int) -> Int in throw CancellationError() }.value
        }
        try await #expect(pool.submit(1) { $0 }.value == 1)
      }
    }

    @Test func whatCannotTravelFailsItsFutureOnly() async throws {
      try await withPool(workers: 1) { pool in
        let process = try await pool.submit { getpid() }.value
        let captured = 5
        let capturing = await #expect(throws: TaskEncodingError.self) {
          try await pool.submit(1) { $0 + captured }.value
        }
        #expect(capturing?.subject == .closure)
        #expect(capturing?.description.contains("pass values as the argument") == true)

        let argument = await #expect(throws: TaskEncodingError.self) {
          try await pool.submit(Unencodable()) { _ in 1 }.value
        }
        #expect(argument?.subject == .argument)
        #expect(argument?.underlyingError as? CodableFailure == CodableFailure(code: 77))

        let undecodable = await #expect(throws: TaskEncodingError.self) {
          try await pool.submit(Undecodable()) { _ in 1 }.value
        }
        #expect(undecodable?.subject == .argument)
        let result = await #expect(throws: TaskEncodingError.self) {
          try await pool.submit(1) { _ in Unencodable() }.value
        }
        #expect(result?.subject == .result)
        let back = await #expect(throws: TaskEncodingError.self) {
          try await pool.submit(1) { _ in Undecodable() }.value
        }
        #expect(back?.subject == .result)
        try await #expect(pool.submit { getpid() }.value == process, "the worker lived on")
      }
    }

    @Test func largePayloadsInBothDirections() async throws {
      try await withPool(workers: 1) { pool in
        for count in [0, 1, 1000, 32_767, 32_768, 70_000, 8 << 20] {
          let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
          let back = try await pool.submit(bytes) { $0.reversed() as [UInt8] }.value
          #expect(back.elementsEqual(bytes.reversed()))
        }
      }
    }

    @Test func manySmallTasks() async throws {
      try await withPool { pool in
        let futures = (0..<20_000).map { pool.submit($0) { $0 + 1 } }
        var sum = 0
        for future in futures { sum += try await future.value }
        #expect(sum == 20_000 * 20_001 / 2)
      }
    }

    @Test func submissionFromManyThreads() async throws {
      try await withPool { pool in
        let sums = try await withThrowingTaskGroup(of: Int.self) { group in
          for _ in 0..<8 {
            group.addTask {
              var sum = 0
              for n in 0..<500 { sum += try await pool.submit(n) { $0 * 2 }.value }
              return sum
            }
          }
          return try await group.reduce(0, +)
        }
        #expect(sums == 8 * 499 * 500)
      }
    }

    @Test func mapKeepsTheOrder() async throws {
      try await withPool { pool in
        try await #expect(pool.map(0..<10_000) { $0 * 3 }.value == (0..<10_000).map { $0 * 3 })
        try await #expect(pool.map(0..<10, chunkSize: 3) { "\($0)" }.value == (0..<10).map { "\($0)" })
        try await #expect(pool.map([Int]()) { $0 }.value == [])
        await #expect(throws: CodableFailure(code: 500)) {
          try await pool.map(0..<1000) { (n: Int) -> Int in
            if n == 500 { throw CodableFailure(code: n) }; return n
          }.value
        }
      }
    }

    @Test func closuresWithoutAResultMap() async throws {
      try await withPool { pool in
        let gates = try (0..<20).map { _ in try SharedGate() }
        let done: Void = try await pool.map(gates[..<10]) { $0.open() }.value
        #expect(done == () && gates[..<10].allSatisfy(\.isOpen))
        var count = 0
        for await result in pool.results(of: Array(gates[10...]), { $0.open() }) {
          #expect(throws: Never.self) { try result.get() }
          count += 1
        }
        #expect(count == 10 && gates.allSatisfy(\.isOpen))
        await #expect(throws: CodableFailure(code: 3)) {
          try await pool.map(0..<10) { if $0 == 3 { throw CodableFailure(code: $0) } }.value
        }
      }
    }

    @Test func resultsOfAnEndlessSequence() async throws {
      try await withPool { pool in
        var seen: [Int] = []
        for await result in pool.results(of: 0..., { $0 * 2 }) {
          seen.append(try result.get())
          if seen.count == 100 { break }
        }
        #expect(seen == (0..<100).map { $0 * 2 })
      }
    }

    @Test func sharedArraysAreNotCopied() async throws {
      try await withPool { pool in
        let shared = try SharedArray<Double>((0..<10_000).map(Double.init))
        let halves = [0..<5000, 5000..<10_000].map { range in
          pool.submit(shared, [range.lowerBound, range.upperBound]) { array, range in
            array.withUnsafeMutableBufferPointer { for i in range[0]..<range[1] { $0[i] += 1 } }
          }
        }
        for half in halves { try await half.value }
        #expect(shared[0] == 1 && shared[9999] == 10_000)
        let made = try await pool.submit(3) { try SharedArray<Int32>(repeating: 7, count: $0) }.value
        #expect(made.count == 3 && made[2] == 7)
      }
    }

    @Test func workersSeeNothingOfTheParentsDescriptorsAndMarks() async throws {
      try await withPool(workers: 1) { pool in
        let open = try await pool.submit { () -> [Int] in (5..<200).filter { fcntl(Int32($0), F_GETFD) >= 0 } }.value
        // The worker's own wake-up pipe and what its runtime opened, all made in the worker.
        #expect(open.count <= 4, "\(open)")
        try await #expect(pool.submit { getenv("CONCURRENT_FUTURES_WORKER") == nil }.value)
        try await #expect(pool.submit { getpgrp() == getpid() }.value)
        try await #expect(
          pool.submit { read(0, UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1), 1) }.value == 0)
      }
    }

    @Test func optionsReachTheWorkers() async throws {
      var options = ProcessPool.Options()
      options.workingDirectory = "/tmp"
      options.environment = ["GREETING": "hello"]
      if let path = getenv("LD_LIBRARY_PATH") { options.environment!["LD_LIBRARY_PATH"] = String(cString: path) }
      options.openFileLimit = 64
      try await withPool(workers: 1, options: options) { pool in
        try await #expect(pool.submit { String(cString: getenv("GREETING")) }.value == "hello")
        try await #expect(pool.submit { String(cString: getcwd(nil, 0)) }.value == "/tmp")
        let limit = pool.submit { () -> UInt64 in
          var limit = rlimit()
          #if os(Linux)
          getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
          #else
          getrlimit(RLIMIT_NOFILE, &limit)
          #endif
          return UInt64(limit.rlim_cur)
        }
        try await #expect(limit.value == 64)
      }
    }

    @Test func startSpawnsEveryWorker() async throws {
      try await withPool(workers: 3) { pool in
        #expect(pool.workerProcessIdentifiers.isEmpty)
        try await pool.start()
        #expect(pool.workerProcessIdentifiers.count == 3)
      }
    }

    @Test func workersThatGrowTooLargeAreReplaced() async throws {
      var options = ProcessPool.Options()
      options.maxResidentSize = 150 << 20
      try await withPool(workers: 1, options: options) { pool in
        let first = try await pool.submit { () -> Int32 in
          let memory = UnsafeMutableRawPointer.allocate(byteCount: 200 << 20, alignment: 16)
          memset(memory, 1, 200 << 20)
          return opaque(memory).load(as: UInt8.self) == 1 ? getpid() : 0
        }.value
        await eventually { !isAlive(first) }
        try await #expect(pool.submit { getpid() }.value != first)
      }
    }

    @Test func memoryLimitsMakeAllocationsFail() async throws {
      var options = ProcessPool.Options()
      options.memoryLimit = 1 << 30
      try await withPool(workers: 1, options: options) { pool in
        try await #expect(pool.submit { opaque(malloc(2 << 30)) == nil }.value)
      }
    }

    @Test func workersAreReplacedAfterSoManyTasks() async throws {
      try await withPool(workers: 2, maxTasksPerWorker: 3) { pool in
        let processes = try await gather((0..<30).map { pool.submit($0) { _ in getpid() } }).value
        let counts = Dictionary(processes.map { ($0, 1) }, uniquingKeysWith: +)
        #expect(counts.values.allSatisfy { $0 <= 3 })
        #expect(counts.count >= 10)
      }
    }
  }
}
