import Foundation

/// Measures in rounds: every contestant once, then every contestant again, so that what the machine does meanwhile hits all.
///
/// Each measurement is a process of its own: nobody inherits another's threads, heap or processor time.
struct Runner {
  var rounds: Int
  var scale: Double
  /// Seconds after which a measurement is given up.
  var timeLimit: Double
  var contestants: [any Contestant]

  func run(_ workloads: [any Workload]) -> Results {
    var results = Results()
    for workload in workloads {
      for point in workload.sweep?.points ?? [0] {
        var dropped: Set<String> = []
        for round in 1...rounds {
          for contestant in contestants where admitted(contestant, workload, point) {
            if dropped.contains(contestant.name) { continue }
            let place = workload.sweep.map { ", \(point) \($0.axis)" } ?? ""
            note("\(workload.name)\(place), round \(round) of \(rounds): \(contestant.name)")
            do {
              let readings = try measureInChild(plan(workload, contestant, point), contestant)
              for reading in readings { results.add(reading, workload.name, point, contestant.name) }
            } catch {
              note("  no figure: \(error)")
              dropped.insert(contestant.name)
            }
          }
        }
      }
    }
    return results
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
      guard let found = external.command(for: plan) else { throw NoFigure(reason: "not installed") }
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

struct NoFigure: Error, CustomStringConvertible {
  var reason: String
  var description: String { reason }
}

/// Progress goes to standard error, so that standard output is the report.
func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
