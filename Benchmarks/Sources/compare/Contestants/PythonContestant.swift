import Foundation

/// CPython's concurrent.futures, where `python3` is found.
struct PythonContestant: ExternalContestant {
  let name = "Python"
  let share = 0.05

  let workloads: Set<String> = [
    "tiny-tasks", "submitters", "workers", "queue-length", "latency", "latency-after-pause", "hop", "hops-1000",
    "future",
    "gather", "as-completed", "sleeps", "memory",
  ]

  /// `PYTHON` names another interpreter.
  private static let interpreter: String? = {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["PYTHON"] { return named }
    return (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/python3" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  func command(for plan: Plan) -> [String]? {
    guard let python = Self.interpreter,
      let script = Bundle.module.path(forResource: "python_futures", ofType: "py")
    else { return nil }
    return [python, script, plan.workload, String(plan.point), String(plan.operations)]
  }
}
