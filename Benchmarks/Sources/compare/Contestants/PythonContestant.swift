import Foundation

/// CPython's concurrent.futures, multiprocessing and pickle, where `python3` is found.
struct PythonContestant: ExternalContestant {
  let name = "Python"
  let share = 0.05
  let whatIsMissing = "no python3 here"

  /// The workloads of each script in `Resources`.
  private static let scripts: [String: Set<String>] = [
    "python_futures": [
      "tiny-tasks", "submitters", "workers", "queue-length", "latency", "latency-after-pause", "hop", "hops-1000",
      "future", "gather", "as-completed", "sleeps", "memory",
    ],
    "python_processes": [
      "process-latency", "process-tasks", "process-workers", "process-map", "process-payload", "process-start",
      "speed-up", "idle",
    ],
    "python_codec": ["codec"],
  ]

  var workloads: Set<String> { Self.scripts.values.reduce([]) { $0.union($1) } }

  /// `PYTHON` names another interpreter, also by its path; empty for none.
  private static let interpreter: String? = {
    let environment = ProcessInfo.processInfo.environment
    let named = environment["PYTHON"] ?? "python3"
    if named.isEmpty || named.contains("/") { return isProgram(named) ? named : nil }
    return (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(named)" }.first(where: isProgram)
  }()

  /// Its version and numpy's, for the head of the report.
  static var description: String {
    let question = """
      import platform
      try:
          import numpy
          numpy = f"numpy {numpy.__version__}"
      except ImportError:
          numpy = "no numpy"
      print(f"Python {platform.python_version()}, {numpy}.", end="")
      """
    guard let interpreter, let answer = try? output(of: [interpreter, "-c", question], timeLimit: 20) else {
      return "There is no python3: Python has no figures."
    }
    return String(decoding: answer, as: UTF8.self)
  }

  private static func isProgram(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

  func command(for plan: Plan) -> [String]? {
    guard let python = Self.interpreter,
      let script = Self.scripts.first(where: { $0.value.contains(plan.workload) })?.key,
      let path = Bundle.module.path(forResource: script, ofType: "py", inDirectory: "Resources")
    else { return nil }
    return [python, path, plan.workload, String(plan.point), String(plan.operations)]
  }
}
