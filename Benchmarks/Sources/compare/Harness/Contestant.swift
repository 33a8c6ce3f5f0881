/// Somebody who is measured.
///
/// What a contestant can do it says by conforming to the protocols that the workloads declare (`SubmitsTasks`,
/// `MakesRoundTrips`, ...); one that has no way to do a workload does not conform and has no figure there.
protocol Contestant: Sendable {
  /// The name in tables and legends.
  var name: String { get }
  /// The part of a workload's operations that it does: slow contestants do fewer, and figures are per operation.
  var share: Double { get }
}

extension Contestant {
  var share: Double { 1 }
}

/// A contestant that is a program of its own, which is told the plan and prints its readings.
protocol ExternalContestant: Contestant {
  /// The names of the workloads that the program knows.
  var workloads: Set<String> { get }
  /// Path and arguments; nil if the program is not installed here.
  func command(for plan: Plan) -> [String]?
  /// What is missing where there is no command, for the table.
  var whatIsMissing: String { get }
}

/// Everybody, in the order of the tables. The first is the one that the others are compared with.
let contestants: [any Contestant] = [
  OurLibrary(), NIOContestant(), DispatchContestant(), OperationQueueContestant(), TaskContestant(),
  TaskGroupContestant(), FoundationContestant(), PythonContestant(),
]
