import Foundation

/// Measures in rounds: every contestant once, then every contestant again, so that what the machine does meanwhile hits all.
///
/// Each measurement is a process of its own: nobody inherits another's threads, heap or processor time.
struct Runner {
  var rounds: Int
  var scale: Double
  /// Seconds after which a measurement is given up.
  var timeLimit: Double
  /// Seconds for all together: what takes long is measured in fewer rounds, but at least in one.
  var budget: Double
  var contestants: [any Contestant]

  func run(_ workloads: [any Workload]) -> Results {
    var results = Results()
    let steps = workloads.flatMap { workload in (workload.sweep?.points ?? [0]).map { (workload, $0) } }
    let start = ContinuousClock.now
    for (index, (workload, point)) in steps.enumerated() {
      let left = budget - (ContinuousClock.now - start).seconds
      // What a step leaves of its part is for those that follow.
      run(workload, point, seconds: left / Double(steps.count - index), into: &results)
    }
    return results
  }

  private func run(_ workload: any Workload, _ point: Int, seconds: Double, into results: inout Results) {
    var dropped: Set<String> = []
    let start = ContinuousClock.now
    for round in 1...rounds {
      let spent = (ContinuousClock.now - start).seconds
      if round > 1, spent + spent / Double(round - 1) > seconds { return }
      for contestant in contestants where admitted(contestant, workload, point) {
        if dropped.contains(contestant.name) { continue }
        let place = workload.sweep.map { ", \($0.label(point)) \($0.axis)" } ?? ""
        note("\(workload.name)\(place), round \(round) of \(rounds): \(contestant.name)")
        do {
          let readings = try measureInChild(plan(workload, contestant, point), contestant)
          for reading in readings { results.add(reading, workload.name, point, contestant.name) }
        } catch {
          note("  no figure: \(error)")
          dropped.insert(contestant.name)
          let missing = error as? NotInstalled
          results.add(
            Results.Absence(
              workload: workload.name, point: point, contestant: contestant.name,
              reason: missing?.description ?? "no figure", isFailure: missing == nil))
        }
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
    var command: [String]
    if let external = contestant as? any ExternalContestant {
      guard let found = external.command(for: plan) else { throw NotInstalled(description: external.whatIsMissing) }
      command = found
    } else {
      let json = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
      command = [Bundle.main.executablePath ?? CommandLine.arguments[0], "measure", json]
    }
    let child = Process()
    child.executableURL = URL(fileURLWithPath: command.removeFirst())
    child.arguments = command
    let output = Pipe()
    child.standardOutput = output
    try child.run()
    let identifier = child.processIdentifier
    let watchdog = DispatchWorkItem { kill(identifier, SIGKILL) }
    DispatchQueue.global().asyncAfter(deadline: .now() + timeLimit, execute: watchdog)
    let data = output.fileHandleForReading.readDataToEndOfFile()
    child.waitUntilExit()
    watchdog.cancel()
    guard child.terminationStatus == 0 else {
      throw NoFigure(reason: "ended with \(child.terminationStatus) (time limit: \(timeLimit) s)")
    }
    return try JSONDecoder().decode([Reading].self, from: data)
  }
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
