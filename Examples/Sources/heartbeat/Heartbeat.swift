import ArgumentParser
import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@main
struct Heartbeat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "heartbeat",
    abstract: "Shows what blocking calls do to a Task that should wake every 10 ms.",
    discussion: """
      Makes the same blocking calls twice, inside Tasks and on a thread pool, and prints how late the Task woke.
      """)

  @Option(help: "Blocking calls in each of the two runs. Default: 100 for each processor.")
  var calls: Int?

  @Option(help: "Milliseconds that each call blocks.")
  var blocking = 20

  func validate() throws {
    if let calls, calls < 1 { throw ValidationError("--calls must be greater than 0, not \(calls).") }
    if !(1...999).contains(blocking) { throw ValidationError("--blocking must be from 1 to 999, not \(blocking).") }
  }

  func run() async throws {
    let calls = calls ?? 100 * Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let microseconds = UInt32(blocking * 1000)
    print("\(calls) calls that block for \(blocking) ms each, all started at once\n")

    let inTasks = await measure("inside Tasks") {
      await withTaskGroup { group in
        for _ in 0..<calls { group.addTask { _ = usleep(microseconds) } }
      }
    }
    let onPool = await measure("ThreadPool.shared.run") {
      await withTaskGroup { group in
        for _ in 0..<calls { group.addTask { _ = try? await ThreadPool.shared.run { usleep(microseconds) } } }
      }
    }
    Report(left: inTasks, right: onPool).print()
  }

  /// Runs `load` beside a heartbeat.
  private func measure(_ title: String, _ load: @Sendable () async -> Void) async -> Measurement {
    let heart = Task.detached { await beats(every: .milliseconds(10)) }
    // Some beats in peace, before and after.
    try? await Task.sleep(for: .milliseconds(100))
    let duration = await ContinuousClock().measure { await load() }
    try? await Task.sleep(for: .milliseconds(100))
    heart.cancel()
    return Measurement(title: title, latencies: Latencies(await heart.value), duration: duration)
  }
}

/// How late each beat was, until the Task is cancelled.
///
/// The schedule is fixed: beats that a stall has delayed count with their own delays, so that one long stall does not pass
/// for a single late beat.
private func beats(every interval: Duration) async -> [Duration] {
  var latencies: [Duration] = []
  var next = ContinuousClock.now
  while true {
    next += interval
    do { try await Task.sleep(until: next, tolerance: .zero, clock: .continuous) } catch { return latencies }
    latencies.append(next.duration(to: .now))
  }
}
