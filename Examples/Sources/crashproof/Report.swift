import BytePaths
import ConcurrentFutures

/// How it went with one file.
struct Report: Sendable {
  enum Outcome: Sendable, Hashable { case decoded, refused, crashed, exited, timedOut, failed }

  let name: String
  let outcome: Outcome
  /// The outcome for people: "was ended by SIGSEGV (signal 11)".
  let text: String
  let detail: String
  let time: Duration

  init(path: Path, result: Result<Picture, any Error>, time: Duration) {
    name = path.name.description
    self.time = time
    switch result {
    case .success(let picture):
      outcome = .decoded
      text = "decoded"
      detail = "\(picture.width) x \(picture.height), \(picture.colours) colour\(picture.colours == 1 ? "" : "s")"
    case .failure(let error as PictureError):
      outcome = .refused
      text = "refused"
      detail = error.message
    case .failure(is TimeoutError):
      outcome = .timedOut
      text = "timed out"
      detail = ""
    case .failure(let error as WorkerTerminatedError):
      detail = Self.lastLine(of: error.standardErrorTail)
      if case .signalled = error.reason { outcome = .crashed } else { outcome = .exited }
      text = error.reason.description
    case .failure(let error):
      outcome = .failed
      text = "failed"
      detail = Self.lastLine(of: "\(error)")
    }
  }

  private static func lastLine(of text: String) -> String {
    text.split(whereSeparator: \.isNewline).last { $0.contains { !$0.isWhitespace } }.map(String.init) ?? ""
  }
}

/// One line for each file, and one above.
func table(_ reports: [Report]) -> [String] {
  let rows = reports.map { [printable($0.name), $0.text, milliseconds($0.time), printable($0.detail)] }
  let head = ["file", "outcome", "time", "size, or what it said last"]
  let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
  return ([head] + rows).map { row in
    let cells = row.enumerated().map { column, text in
      let padding = String(repeating: " ", count: widths[column] - text.count)
      // Times to the right, the last column as it is.
      return column == 2 ? padding + text : column == 3 ? text : text + padding
    }
    return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
  }
}

func summary(_ reports: [Report], in time: Duration) -> String {
  func count(_ outcome: Report.Outcome) -> Int { reports.count { $0.outcome == outcome } }
  let parts = [
    (count(.decoded), "decoded"), (count(.refused), "refused"), (count(.crashed), "crashed"),
    (count(.exited), "exited"), (count(.timedOut), "timed out"), (count(.failed), "failed"),
  ]
  let counts = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  let files = reports.count == 1 ? "1 file" : "\(reports.count) files"
  return "\(files) in \(milliseconds(time))\(counts.isEmpty ? "" : ": ")\(counts)"
}

private func milliseconds(_ time: Duration) -> String { "\(Int((time / .milliseconds(1)).rounded())) ms" }

/// Names of files and output of crashed programs may hold anything; a terminal should not obey it.
private func printable(_ text: String) -> String {
  String(text.prefix(100).map { $0.unicodeScalars.contains { $0.properties.generalCategory == .control } ? "?" : $0 })
}
