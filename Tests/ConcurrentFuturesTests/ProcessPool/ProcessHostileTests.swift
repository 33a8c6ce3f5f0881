#if os(Linux) || os(macOS)
import Testing

@testable import ConcurrentFutures

#if canImport(Glibc)
@preconcurrency import Glibc
#elseif canImport(Musl)
@preconcurrency import Musl
#elseif canImport(Darwin)
@preconcurrency import Darwin
#endif

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
  }
}
#endif
