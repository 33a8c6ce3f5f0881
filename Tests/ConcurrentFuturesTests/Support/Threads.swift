import Dispatch
import Foundation
import Synchronization
import Testing

struct ThreadHangs: Error {}

/// Runs `body` on a thread of its own, which may block, and suspends until it has returned.
///
/// Throws ``ThreadHangs`` when it takes longer than ``patience``; the thread is then left behind.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  let pending = Mutex<UnsafeContinuation<R, any Error>?>(nil)
  let holder = Holder(pending)
  return try await withUnsafeThrowingContinuation { continuation in
    holder.value.withLock { $0 = continuation }
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(patience)) { [weak holder] in
      holder?.value.withLock { $0.take() }?.resume(throwing: ThreadHangs())
    }
    Thread.detachNewThread {
      let result = Result { try body() }
      holder.value.withLock { $0.take() }?.resume(with: result)
    }
  }
}

private final class Holder<R: Sendable>: Sendable {
  let value: Mutex<UnsafeContinuation<R, any Error>?>
  init(_ value: consuming Mutex<UnsafeContinuation<R, any Error>?>) { self.value = value }
}

/// Runs `body` on `count` threads at once: none starts before all are there. Suspends until all have returned.
func onThreads<R: Sendable>(_ count: Int, _ body: @escaping @Sendable (_ index: Int) throws -> R) async throws -> [R] {
  let arrived = Tally()
  let start = Gate()
  return try await withThrowingTaskGroup(of: (Int, R).self) { group in
    for index in 0..<count {
      group.addTask {
        let value = try await onThread {
          if arrived.add() == count { start.open() }
          start.pass()
          return try body(index)
        }
        return (index, value)
      }
    }
    var results: [R?] = Array(repeating: nil, count: count)
    for try await (index, value) in group { results[index] = value }
    return results.map { $0! }
  }
}

/// A rendezvous of threads without locks, for tests of races: all go on within some nanoseconds of each other.
final class StartingLine: Sendable {
  private let arrived = Atomic(0)
  private let parties: Int
  init(_ parties: Int) { self.parties = parties }

  /// Waits, spinning, until every party has called this as often as the caller.
  func meet(round: Int) {
    arrived.add(1, ordering: .acquiringAndReleasing)
    var looks = 0
    while arrived.load(ordering: .acquiring) < parties * (round + 1) {
      looks += 1
      if looks & 31 == 0 { sched_yield() }
    }
  }
}

/// Runs each of `bodies` on a thread of its own, `rounds` times, all starting each round together.
///
/// `prepare` makes what one round works on; `check` looks at it when all have finished the round.
func race<Subject: Sendable>(
  rounds: Int, prepare: @escaping @Sendable (_ round: Int) -> Subject,
  _ bodies: [@Sendable (Subject) -> Void], check: @escaping @Sendable (_ round: Int, Subject) -> Void
) async throws {
  let subjects = Mutex<Subject?>(nil)
  let holder = Box(subjects)
  let line = StartingLine(bodies.count)
  _ = try await onThreads(bodies.count) { index in
    for round in 0..<rounds {
      if index == 0 { holder.value.withLock { $0 = prepare(round) } }
      line.meet(round: 3 * round)
      let subject = holder.value.withLock { $0! }
      line.meet(round: 3 * round + 1)
      bodies[index](subject)
      line.meet(round: 3 * round + 2)
      if index == 0 { check(round, subject) }
    }
  }
}

private final class Box<Value: ~Copyable & Sendable>: Sendable {
  let value: Value
  init(_ value: consuming Value) { self.value = value }
}
