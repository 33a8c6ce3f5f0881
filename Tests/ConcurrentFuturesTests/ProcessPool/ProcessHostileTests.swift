#if os(Linux) || os(macOS)
import CPlatformSupport
import Dispatch
import Libc
import Testing

@testable import ConcurrentFutures

extension ProcessPools {
  /// What must hold whatever a worker sends, and what a task can see of its parent's wishes.
  @Suite struct Hostile {
    /// The runtime reads names recursively: this one would end the parent.
    @Test func typeNamesThatAreTooLongAreNotLookedUp() {
      let name = "Si_" + String(repeating: "Si", count: 65_536) + "t"
      var writer = ReferenceWriter()
      writer.write(byte: 0)
      writer.write(name)
      writer.bytes.withUnsafeBytes { bytes in
        var reader = ReferenceReader(bytes)
        #expect(TypeReference(from: &reader) == nil)
      }
    }

    /// The answer of a task whose future has been cancelled meanwhile carries descriptors that nobody takes.
    @Test func descriptorsOfAnswersThatNobodyWantsAreClosed() async throws {
      let before = ProcessResources.openDescriptors
      try await withPool(workers: 1) { pool in
        for round in 0..<300 {
          let future = pool.submit(4) { try SharedArray<Int>(repeating: 7, count: $0) }
          // Into the last moments of the task, more and less deep.
          for _ in 0..<(round % 60) * 20 { sched_yield() }
          future.cancel()
          _ = await future.result
        }
      }
      #expect(await soon { ProcessResources.openDescriptors <= before })
    }

    @Test func synchronousTaskSeesThatItWasAskedToStop() async throws {
      try await withPool(workers: 1) { pool in
        let started = Flag()
        let seen = Flag()
        defer {
          started.lower()
          seen.lower()
        }
        let future = pool.submit([started, seen]) { flags -> Bool in
          flags[0].raise()
          while !CurrentWork.isCancelled { usleep(500) }
          flags[1].raise()
          return true
        }
        #expect(await soon { started.isRaised })
        future.cancel()
        #expect(await soon { seen.isRaised })
      }
    }

    /// Workers that have all the time they need to see the request.
    private static var patientOptions: ProcessPool.Options {
      var options = ProcessPool.Options()
      options.terminationGracePeriod = .seconds(patience)
      return options
    }

    @Test func everyThreadOfAWorkerSeesThatItWasAskedToStop() async throws {
      try await withPool(workers: 1, options: Self.patientOptions) { pool in
        let flags = (0..<3).map { _ in Flag() }
        defer { for flag in flags { flag.lower() } }
        let future = pool.submit(flags) { flags in
          // One of ours, which has work of its own to ask for, and one that we know nothing of.
          let threads = ThreadPool(maxWorkers: 1)
          threads.submit {
            while !CurrentWork.isCancelled { usleep(500) }
            flags[1].raise()
          }
          DispatchQueue.global().async {
            while !CurrentWork.isCancelled { usleep(500) }
            flags[2].raise()
          }
          flags[0].raise()
          while !(flags[1].isRaised && flags[2].isRaised) { usleep(500) }
        }
        #expect(await soon { flags[0].isRaised })
        #expect(!flags[1].isRaised && !flags[2].isRaised)
        future.cancel()
        #expect(await soon { flags.allSatisfy(\.isRaised) })
      }
    }

    @Test(arguments: [true, false])
    func asynchronousTasksSeeThatTheyWereAskedToStop(byTimeLimit: Bool) async throws {
      try await withPool(workers: 1, options: Self.patientOptions) { pool in
        let flags = (0..<4).map { _ in Flag() }
        defer { for flag in flags { flag.lower() } }
        let future = pool.submit(flags, timeout: byTimeLimit ? .milliseconds(100) : nil) { flags async in
          flags[0].raise()
          // Other threads than the worker's main one, and a child.
          async let child: Void = {
            while !Task.isCancelled { usleep(500) }
            flags[1].raise()
          }()
          async let other: Void = {
            while !CurrentWork.isCancelled { usleep(500) }
            flags[2].raise()
          }()
          while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
          flags[3].raise()
          await child
          await other
        }
        #expect(await soon { flags[0].isRaised })
        if byTimeLimit {
          await #expect(throws: TimeoutError.self) { try await future.value }
        } else {
          future.cancel()
        }
        #expect(await soon { flags.allSatisfy(\.isRaised) })
      }
    }

    @Test func codeOfTheMainActorRunsInAsynchronousTasks() async throws {
      try await withPool(workers: 1) { pool in
        for n in 0..<50 { try await #expect(pool.run(CountsOnMainActor(steps: n % 5)).wasOnMainThread) }
        // What is in the main queue from elsewhere runs there too, and work without it as ever.
        let values = pool.submit(7) { (n: Int) async -> [Int] in
          await withCheckedContinuation { continuation in
            DispatchQueue.main.async { continuation.resume(returning: [n]) }
          }
        }
        try await #expect(values.value == [7])
        try await #expect(pool.submit(3) { (n: Int) async -> Int in n + 1 }.value == 4)
        try await #expect(pool.submit(3) { $0 }.value == 3)
      }
    }

    @Test func workOnTheMainActorCanBeStopped() async throws {
      try await withPool(workers: 1) { pool in
        let flag = Flag()
        defer { flag.lower() }
        let endless = pool.submit(flag) { @MainActor flag async in
          flag.raise()
          while true { try? await Task.sleep(for: .seconds(1000)) }
        }
        #expect(await soon { flag.isRaised })
        endless.cancel()
        try await #expect(pool.submit(1) { $0 }.value == 1)
      }
    }
  }
}

@MainActor private var steps = 0

struct CountsOnMainActor: AsyncProcessTask {
  struct Output: Codable, Sendable { var wasOnMainThread: Bool }
  let steps: Int

  func run() async throws -> Output {
    var wasOnMainThread = true
    for _ in 0...steps { wasOnMainThread = await step() && wasOnMainThread }
    return Output(wasOnMainThread: wasOnMainThread)
  }

  @MainActor private func step() async -> Bool {
    ConcurrentFuturesTests.steps += 1
    let before = cf_is_main_thread()
    try? await Task.sleep(for: .microseconds(50))
    await Task.yield()
    return before && cf_is_main_thread()
  }
}
#endif
