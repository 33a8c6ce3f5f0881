import CPlatformSupport
import Foundation
import Synchronization
import Testing

@testable import ConcurrentFutures

/// The threads of this process by their names, which tests that run side by side do not share.
enum NamedThreads {
  static func count(prefix: String) -> Int { names().filter { $0.hasPrefix(prefix) }.count }

  static func names() -> [String] {
    SystemFiles.names(in: "/proc/self/task").map { task in
      String(SystemFiles.text(of: "/proc/self/task/\(task)/comm").prefix { $0 != "\n" })
    }
  }

  static var current: String {
    // Asked of the thread itself: files of /proc that Foundation reads may come out empty.
    var name = [CChar](repeating: 0, count: 64)
    cf_get_thread_name(&name, Int32(name.count))
    return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }
}

/// Bodies that hold workers of a pool until they are let go.
final class Blockade: Sendable {
  private let gate = Gate()
  private let started = Tally()
  private let futures: [Future<Void>]

  /// Returns when `count` bodies are running.
  init(_ pool: ThreadPool, _ count: Int) async {
    let (gate, started) = (gate, started)
    futures = (0..<count).map { _ in
      pool.submit {
        started.add()
        gate.pass()
      }
    }
    await eventually("the workers never started") { started.count == count }
  }

  func lift() { gate.open() }

  func end() async throws {
    gate.open()
    for future in futures { try await future.value }
  }
}

/// How many bodies are running now, and how many ever were at once.
final class Crowd: Sendable {
  private let state = Mutex((now: 0, most: 0))
  func enter() {
    state.withLock { state in
      state.now += 1
      state.most = max(state.most, state.now)
    }
  }
  func leave() { state.withLock { $0.now -= 1 } }
  var now: Int { state.withLock { $0.now } }
  var most: Int { state.withLock { $0.most } }
}

enum Trace {
  @TaskLocal static var id = 0
}
