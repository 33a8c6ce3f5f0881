import ArgumentParser
import BytePaths
import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@main
struct Crashproof: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crashproof",
    abstract: "Decodes every file of a directory with a decoder that crashes and hangs, and says how each went.",
    discussion: """
      The decoder is C, reads BMP files, and has the bugs of its kind. Each file is decoded in a worker process: what it does \
      there costs that file and nothing else. The workers' standard error is passed on as it comes.
      """)

  @Argument(help: "The files to decode. Default: the samples that come with this example.", completion: .directory)
  var directory: String?

  @Option(help: "Seconds that one file may take.")
  var limit = 1.0

  @Option(help: "Megabytes of address space for each worker.")
  var memory = 1024

  @Option(help: "Worker processes.")
  var workers = ProcessPool.defaultMaxWorkers

  func validate() throws {
    if !(limit > 0 && limit <= 86_400) { throw ValidationError("--limit must be greater than 0 and at most 86400.") }
    if !(64...1_000_000).contains(memory) {
      throw ValidationError("--memory must be from 64 to 1000000, not \(memory).")
    }
    if !(1...256).contains(workers) { throw ValidationError("--workers must be from 1 to 256, not \(workers).") }
  }

  func run() async throws {
    let paths = try files(in: directory.map(Path.init(argument:)) ?? Path(Self.samples))
    let start = ContinuousClock.now
    let reports = await decode(paths)
    for line in table(reports) { print(line) }
    print(summary(reports, in: start.duration(to: .now)))
  }

  /// Decodes all files, as many at once as there are workers.
  private func decode(_ paths: [Path]) async -> [Report] {
    var options = ProcessPool.Options()
    options.memoryLimit = memory << 20
    // It leaks; a worker that has grown is replaced.
    options.maxResidentSize = min(memory, 256) << 20
    let pool = ProcessPool(maxWorkers: workers, name: "decoders", options: options)
    let limit = Duration.seconds(limit)

    let reports = await withTaskGroup(of: (Int, Report).self) { group in
      var reports = [Report?](repeating: nil, count: paths.count)
      for (index, path) in paths.enumerated() {
        if index >= workers, let (done, report) = await group.next() { reports[done] = report }
        group.addTask {
          let start = ContinuousClock.now
          let result = await pool.submit(path, timeout: limit) { try Picture(contentsOf: $0) }.result
          return (index, Report(path: path, result: result, time: start.duration(to: .now)))
        }
      }
      for await (done, report) in group { reports[done] = report }
      return reports.compactMap { $0 }
    }
    await pool.shutdown()
    return reports
  }

  private static let samples =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Samples/bitmaps"

  /// Regular files, in the order of their names.
  private func files(in directory: Path) throws -> [Path] {
    guard let mode = mode(of: directory) else { throw ValidationError("\(directory): there is no such directory.") }
    guard mode == S_IFDIR else { throw ValidationError("\(directory): it is not a directory.") }
    guard let names = directory.directoryNames() else { throw ValidationError("\(directory): it cannot be read.") }
    return names.map(directory.appending).filter { self.mode(of: $0) == S_IFREG }
  }

  /// What kind of file it is; nil where that cannot be told.
  private func mode(of path: Path) -> mode_t? {
    var status = stat()
    return path.withCString { stat($0, &status) } == 0 ? status.st_mode & S_IFMT : nil
  }
}
