import Dispatch
import Foundation
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What concerns the whole process runs in a process of its own.
@Suite struct ThreadPoolSystemTests {
  // MARK: bad input

  /// Whether the message names the parameter. Optimised code traps without a message.
  private func names(_ parameter: String, _ result: ExitTest.Result?) -> Bool {
    var isDebug = false
    assert(
      {
        isDebug = true
        return true
      }())
    guard isDebug else { return result != nil }
    return String(decoding: result?.standardErrorContent ?? [], as: UTF8.self).contains(parameter)
  }

  @Test func poolWithoutWorkersIsRefused() async {
    let zero = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(maxWorkers: 0)
    }
    #expect(names("maxWorkers must be greater than 0, not 0", zero))
    let negative = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(maxWorkers: -1)
    }
    #expect(names("maxWorkers must be greater than 0, not -1", negative))
  }

  @Test func poolLargerThanDispatchAllowsIsRefused() async {
    #expect(ThreadPool.maxWorkersLimit == 255)
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(maxWorkers: 256)
    }
    #expect(names("maxWorkers must be at most 255", result))
    #expect(names("Dispatch", result))
  }

  @Test func otherBadInputIsRefusedByName() async {
    let keepAlive = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(queueLimit: .unlimited, keepAlive: .seconds(-1))
    }
    #expect(names("keepAlive must not be negative", keepAlive))
    let count = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = QueueLimit.atMost(0, whenFull: .reject)
    }
    #expect(names("count must be greater than 0, not 0", count))
    let chunkSize = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(maxWorkers: 1).map([1], chunkSize: 0) { $0 }
    }
    #expect(names("chunkSize must be greater than 0, not 0", chunkSize))
    let maxInFlight = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = ThreadPool(maxWorkers: 1).results(of: [1], maxInFlight: 0) { $0 }
    }
    #expect(names("maxInFlight must be greater than 0, not 0", maxInFlight))
    let timeout = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try await onThread { try ThreadPool(maxWorkers: 1).submit { 1 }.wait(timeout: .seconds(-1)) }
    }
    #expect(names("timeout must not be negative", timeout))
  }

  // MARK: threads of the process

  /// Other code holds every thread that Dispatch gives: a plain thread takes the worker's place.
  @Test func poolWorksWhenDispatchHasNoThreadLeft() async {
    await #expect(processExitsWith: .success) {
      let hold = DispatchSemaphore(value: 0)
      let held = Tally()
      for index in 0..<300 {
        DispatchQueue(label: "hog-\(index)").async {
          held.add()
          hold.wait()
        }
      }
      var (before, still) = (-1, 0)
      // Until no more come.
      await eventually {
        still = before == held.count ? still + 1 : 0
        before = held.count
        return still == 1000
      }
      #expect(held.count < 300, "Dispatch has given all that it has")
      let pool = ThreadPool(maxWorkers: 3, name: "rescued")
      let futures = (0..<100).map { index in pool.submit { try pool.submit { index }.wait() } }
      let values = try await gather(futures).value
      #expect(values == Array(0..<100))
      await pool.shutdown()
      for _ in 0..<300 { hold.signal() }
    }
  }

  /// All workers of the largest pool at once, beyond Dispatch's share.
  @Test func largestPoolRunsAllItsWorkersAtOnce() async {
    await #expect(processExitsWith: .success) {
      let pool = ThreadPool(maxWorkers: 255)
      let gate = Gate()
      let running = Tally()
      let futures = (0..<255).map { _ in
        pool.submit {
          running.add()
          gate.pass()
        }
      }
      await eventually { running.count == 255 }
      gate.open()
      _ = try await gather(futures).value
      await pool.shutdown()
    }
  }

  @Test func workerWhoseThreadNeverComesIsReplaced() async {
    await #expect(processExitsWith: .success) {
      let late = Log<@Sendable () -> Void>()
      let core = PoolCore(
        name: "never", maximum: 2, limit: .unlimited, keepAlive: .seconds(1), initializer: nil,
        startsThreads: { _, body in late.append(body) })
      let pool = ThreadPool(core: core)
      let name = try await pool.submit { NamedThreads.current }.value
      #expect(name == "never-1")
      #expect(late.count == 1)
      await pool.shutdown()
      // The thread that comes after all finds nothing to do.
      for body in late.entries { body() }
      #expect(pool.statistics.threads == 0)
    }
  }

  /// `main` returns while work runs and more is queued: the process ends at once, with its own status.
  @Test func programEndsWithItsMain() async {
    await #expect(processExitsWith: .success) {
      let pool = ThreadPool(maxWorkers: 2)
      let started = Gate()
      for _ in 0..<10 {
        pool.submit {
          started.open()
          stayForever()
        }
      }
      ThreadPool.shared.submit { stayForever() }
      await started.wait()
    }
  }

  // MARK: leaks

  @Test func poolsLeaveNothingBehind() async {
    await #expect(processExitsWith: .success) {
      // What the process starts once: the timer's thread, Dispatch's own with its descriptors. Those are there when a timer
      // has fired.
      await withUnsafeContinuation { continuation in
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(1)) { continuation.resume() }
      }
      let warmUp = ThreadPool(maxWorkers: 4)
      let blockade = await Blockade(warmUp, 4)
      try await blockade.end()
      await warmUp.shutdown()
      let descriptors = ProcessResources.openDescriptors
      let live = LiveCount()
      for round in 0..<20 {
        let pool = ThreadPool(maxWorkers: 4, name: "leak", queueLimit: .unlimited) { [probe = live.probe()] in
          probe.touch()
        }
        let futures = (0..<50).map { index in
          pool.submit { [probe = live.probe()] () throws -> LeakProbe in
            if index.isMultiple(of: 5) { throw probe }
            if index.isMultiple(of: 7) { return try pool.submit { probe }.wait() }
            return probe
          }
        }
        let asynchronous = pool.submit { [probe = live.probe()] () async in probe.touch() }
        for future in futures.prefix(10) { future.cancel() }
        for await _ in pool.results(of: 0..<20, { [probe = live.probe()] _ in probe.touch() }) { break }
        try await pool.run { [probe = live.probe()] in probe.touch() }
        if round.isMultiple(of: 2) {
          await pool.shutdown(cancelPending: true)
        } else {
          for future in futures { _ = await future.result }
          try await asynchronous.value
          await pool.shutdown()
        }
      }
      await eventually("objects are left") { live.count == 0 }
      await eventually("threads are left") { NamedThreads.count(prefix: "leak-") == 0 }
      // Dispatch opens files of /proc for moments.
      await eventually("descriptors are left") { ProcessResources.openDescriptors <= descriptors }
      // Dispatch keeps its threads for some seconds.
      await eventually("threads are left") { ProcessResources.threadCount <= 8 }
      withExtendedLifetime(warmUp) {}
    }
  }
}
