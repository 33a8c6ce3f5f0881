#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Standard output and standard error, and a progress line on the latter where it is a terminal.
struct Terminal {
  private let showsProgress = isatty(STDERR_FILENO) == 1
  private let sharesScreen = isatty(STDOUT_FILENO) == 1
  private let clock = ContinuousClock()
  private let start = ContinuousClock.now
  private var buffer: [UInt8] = []
  private var lastFlush = ContinuousClock.now
  private var lastProgress: ContinuousClock.Instant?
  private var progressIsVisible = false

  private var files = 0
  private var bytes = 0

  /// Writes a line of output, soon.
  mutating func print(_ line: [UInt8]) throws(FileError) {
    buffer.append(contentsOf: line)
    if sharesScreen || buffer.count >= 32 * 1024 || lastFlush.duration(to: clock.now) > .milliseconds(200) {
      try flush()
    }
  }

  mutating func flush() throws(FileError) {
    if sharesScreen { hideProgress() }
    defer { buffer.removeAll(keepingCapacity: true) }
    lastFlush = clock.now
    if !write(buffer, to: STDOUT_FILENO) { throw FileError(Path("standard output")) }
  }

  mutating func report(_ error: any Error) {
    hideProgress()
    write(Array("checksums: \(error)\n".utf8), to: STDERR_FILENO)
  }

  /// Counts a file and, now and then, says how far it is.
  mutating func advance(by size: Int) {
    files += 1
    bytes += size
    guard showsProgress else { return }
    if let lastProgress, lastProgress.duration(to: clock.now) < .milliseconds(100) { return }
    lastProgress = clock.now
    progressIsVisible = true
    write(Array("\r\(summary)\u{1B}[K".utf8), to: STDERR_FILENO)
  }

  mutating func finish() throws(FileError) {
    try flush()
    hideProgress()
    if showsProgress { write(Array("\(summary)\n".utf8), to: STDERR_FILENO) }
  }

  private var summary: String {
    let seconds = start.duration(to: clock.now) / .seconds(1)
    let megabytes = Double(bytes) / 1e6
    func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
    return "\(files) files, \(rounded(megabytes)) MB in \(rounded(seconds)) s, "
      + "\(rounded(megabytes / max(seconds, 0.001))) MB/s"
  }

  private mutating func hideProgress() {
    if progressIsVisible { write(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
    progressIsVisible = false
  }

  @discardableResult
  private func write(_ bytes: [UInt8], to descriptor: CInt) -> Bool {
    bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        #if canImport(Darwin)
        let count = Darwin.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
        #elseif canImport(Musl)
        let count = Musl.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
        #else
        let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress!, rest.count)
        #endif
        if count < 0 && errno != EINTR { return false }
        rest = rest.dropFirst(max(0, count))
      }
      return true
    }
  }
}
