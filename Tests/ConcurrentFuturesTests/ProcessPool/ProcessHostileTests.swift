#if os(Linux) || os(macOS)
import CPlatformSupport
import Dispatch
import FuturesTestLibc
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
      try await withPool(workers: 1) { pool in
        for round in 0..<300 {
          let future = pool.submit(4) { try SharedArray<Int>(repeating: 7, count: $0) }
          // Into the last moments of the task, more and less deep.
          for _ in 0..<(round % 60) * 20 { sched_yield() }
          future.cancel()
          _ = await future.result
        }
      }
      await eventually { PoolLeftovers.now().memoryObjects == 0 }
    }

    @Test func synchronousTaskSeesThatItWasAskedToStop() async throws {
      try await withPool(workers: 1, options: Self.patientOptions) { pool in
        let (started, seen) = try (SharedGate(), SharedGate())
        let future = pool.submit(started, seen) { started, seen -> Bool in
          started.open()
          while !CurrentWork.isCancelled { sched_yield() }
          seen.open()
          return true
        }
        await started.opened()
        future.cancel()
        await seen.opened()
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
        let gates = try (0..<3).map { _ in try SharedGate() }
        let future = pool.submit(gates) { gates in
          // One of ours, which has work of its own to ask for, and one that we know nothing of.
          let threads = ThreadPool(maxWorkers: 1)
          threads.submit {
            while !CurrentWork.isCancelled { sched_yield() }
            gates[1].open()
          }
          DispatchQueue.global().async {
            while !CurrentWork.isCancelled { sched_yield() }
            gates[2].open()
          }
          gates[0].open()
          gates[1].wait()
          gates[2].wait()
        }
        await gates[0].opened()
        #expect(!gates[1].isOpen && !gates[2].isOpen)
        future.cancel()
        for gate in gates { await gate.opened() }
      }
    }

    @Test(arguments: [true, false])
    func asynchronousTasksSeeThatTheyWereAskedToStop(byTimeLimit: Bool) async throws {
      try await withPool(workers: 1, options: Self.patientOptions) { pool in
        let gates = try (0..<4).map { _ in try SharedGate() }
        let future = pool.submit(gates, timeout: byTimeLimit ? .milliseconds(100) : nil) { gates async in
          gates[0].open()
          // Other threads than the worker's main one, and a child.
          async let child: Void = {
            await untilCancelled()
            if Task.isCancelled { gates[1].open() }
          }()
          async let other: Void = {
            while !CurrentWork.isCancelled { sched_yield() }
            gates[2].open()
          }()
          await untilCancelled()
          if Task.isCancelled { gates[3].open() }
          await child
          await other
        }
        await gates[0].opened()
        if byTimeLimit {
          await #expect(throws: TimeoutError.self) { try await future.value }
        } else {
          future.cancel()
        }
        for gate in gates { await gate.opened() }
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
        let begun = try SharedGate()
        let endless = pool.submit(begun) { @MainActor begun async in
          begun.open()
          // Nobody resumes it, and it does not hear that it is cancelled.
          await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        }
        await begun.opened()
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
    // Resumed by a timer, and by the executor.
    try? await Task.sleep(for: .microseconds(50))
    await Task.yield()
    return before && cf_is_main_thread()
  }
}
#endif
