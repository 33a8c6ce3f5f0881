import Foundation

/// Measures in rounds: in each, every workload with every contestant once, so that what the machine does meanwhile hits all.
///
/// Each measurement is a process of its own: nobody inherits another's threads, heap or processor time.
struct Runner {
  var rounds: Int
  var scale: Double
  /// Seconds after which a measurement is given up.
  var timeLimit: Double
  /// Seconds for all together. What takes long is measured in fewer rounds, but everything in at least one.
  var budget: Double
  var contestants: [any Contestant]

  /// A workload at one point of its sweep, and the seconds that it took by now.
  private struct Step {
    var workload: any Workload
    var point: Int
    var spent = 0.0
    var last = 0.0
    /// Contestants that failed.
    var dropped: Set<String> = []
  }

  func run(_ workloads: [any Workload]) -> Results {
    var results = Results()
    var steps = workloads.flatMap { workload in
      (workload.sweep?.points ?? [0]).map { Step(workload: workload, point: $0) }
    }
    let start = ContinuousClock.now
    for round in 1...rounds {
      for index in steps.indices {
        let left = budget - (ContinuousClock.now - start).seconds
        let step = steps[index]
        // A twelfth of the time is the most that one may take with its further rounds.
        if round > 1, step.last > left || step.spent + step.last > budget / 12 { continue }
        let begin = ContinuousClock.now
        run(&steps[index], round, into: &results)
        steps[index].last = (ContinuousClock.now - begin).seconds
        steps[index].spent += steps[index].last
      }
    }
    return results
  }

  private func run(_ step: inout Step, _ round: Int, into results: inout Results) {
    let workload = step.workload
    let point = step.point
    for contestant in contestants where admitted(contestant, workload, point) {
      if step.dropped.contains(contestant.name) { continue }
      let place = workload.sweep.map { ", \($0.label(point)) \($0.axis)" } ?? ""
      note("round \(round) of \(rounds): \(workload.name)\(place): \(contestant.name)")
      do {
        let readings = try measureInChild(plan(workload, contestant, point), contestant)
        for reading in readings { results.add(reading, workload.name, point, contestant.name) }
      } catch {
        note("  no figure: \(error)")
        step.dropped.insert(contestant.name)
        let missing = error as? NotInstalled
        results.add(
          Results.Absence(
            workload: workload.name, point: point, contestant: contestant.name,
            reason: missing?.description ?? "no figure", isFailure: missing == nil))
      }
    }
  }

  private func admitted(_ contestant: any Contestant, _ workload: any Workload, _ point: Int) -> Bool {
    guard workload.includes(contestant, at: point) else { return false }
    if let external = contestant as? any ExternalContestant { return external.workloads.contains(workload.name) }
    return workload.admits(contestant)
  }

  private func plan(_ workload: any Workload, _ contestant: any Contestant, _ point: Int) -> Plan {
    let share = workload.isShared ? contestant.share : 1
    let operations = max(1, Int(Double(workload.operations(at: point)) * scale * share))
    return Plan(workload: workload.name, contestant: contestant.name, point: point, operations: operations)
  }

  private func measureInChild(_ plan: Plan, _ contestant: any Contestant) throws -> [Reading] {
    let command: [String]
    if let external = contestant as? any ExternalContestant {
      guard let found = external.command(for: plan) else { throw NotInstalled(description: external.whatIsMissing) }
      command = found
    } else {
      let json = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
      command = [Bundle.main.executablePath ?? CommandLine.arguments[0], "measure", json]
    }
    return try JSONDecoder().decode([Reading].self, from: output(of: command, timeLimit: timeLimit))
  }
}

/// What a program writes to standard output; it is killed after so many seconds.
func output(of command: [String], timeLimit: Double) throws -> Data {
  let child = Process()
  child.executableURL = URL(fileURLWithPath: command[0])
  child.arguments = Array(command.dropFirst())
  let output = Pipe()
  child.standardOutput = output
  let wait = try start(child)
  let identifier = child.processIdentifier
  let watchdog = DispatchWorkItem { kill(identifier, SIGKILL) }
  DispatchQueue.global().asyncAfter(deadline: .now() + timeLimit, execute: watchdog)
  let data = output.fileHandleForReading.readDataToEndOfFile()
  wait()
  watchdog.cancel()
  guard child.terminationStatus == 0 else {
    throw NoFigure(reason: "ended with \(child.terminationStatus) (time limit: \(timeLimit) s)")
  }
  return data
}

/// Starts a process; the result waits for its end. `waitUntilExit` looks only every 50 ms on Linux.
func start(_ child: Process) throws -> () -> Void {
  let ended = DispatchSemaphore(value: 0)
  child.terminationHandler = { _ in ended.signal() }
  try child.run()
  return { ended.wait() }
}

/// A contestant that cannot be had on this machine.
struct NotInstalled: Error, CustomStringConvertible {
  var description: String
}

extension Duration {
  var seconds: Double { self / .seconds(1) }
}

struct NoFigure: Error, CustomStringConvertible {
  var reason: String
  var description: String { reason }
}

/// Progress goes to standard error, so that standard output is the report.
func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
