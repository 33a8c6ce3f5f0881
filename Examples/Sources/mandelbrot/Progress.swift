#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A line that says how far it is, where standard error is a terminal.
struct Progress {
  private let total: Int
  private let isVisible = isatty(STDERR_FILENO) == 1
  private let start = ContinuousClock.now
  private var done = 0
  private var lastLine: ContinuousClock.Instant?

  init(total: Int) { self.total = total }

  mutating func advance(by count: Int) {
    done += count
    guard isVisible else { return }
    if done < total, let lastLine, lastLine.duration(to: .now) < .milliseconds(50) { return }
    lastLine = .now
    let filled = 40 * done / max(1, total)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 40 - filled)
    let seconds = start.duration(to: .now) / .seconds(1)
    show("\r[\(bar)] \(100 * done / max(1, total)) %, \((seconds * 10).rounded() / 10) s\u{1B}[K")
  }

  func finish() { if isVisible { show("\r\u{1B}[K") } }

  private func show(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }
}
