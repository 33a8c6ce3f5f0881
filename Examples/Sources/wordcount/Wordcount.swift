import ArgumentParser
import BytePaths
import ConcurrentFutures

@main
struct Wordcount: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wordcount",
    abstract: "Counts the words of text files, in threads or in processes.",
    discussion: """
      Files are cut into pieces, each piece is counted by a worker, and the counts are added up. The code is the same for \
      both kinds of pool, and so is the result. Binary files are passed over.
      """)

  enum PoolKind: String, ExpressibleByArgument, CaseIterable { case threads, processes }

  @Option(help: "What counts: threads or processes.")
  var pool = PoolKind.threads

  @Option(help: "How many words to print, the most frequent first; 0 for all.")
  var top = 20

  @Option(help: "Threads or processes at work at once.")
  var workers = ProcessPool.defaultMaxWorkers

  @Argument(
    help: "Files, and directories with all that is below them. Default: the package that this program comes from.",
    completion: .file())
  var paths: [String] = []

  func validate() throws {
    if top < 0 { throw ValidationError("--top must not be negative, not \(top).") }
    if !(1...255).contains(workers) { throw ValidationError("--workers must be from 1 to 255, not \(workers).") }
  }

  func run() async throws {
    let start = ContinuousClock.now
    let input = Input(paths: paths.isEmpty ? [Input.ownPackage] : paths.map(Path.init(argument:)))
    // The only line that depends on the kind of pool.
    let pool: any TaskPool = pool == .threads ? ThreadPool(maxWorkers: workers) : ProcessPool(maxWorkers: workers)
    let (counts, errors) = await countWords(in: input.pieces, on: pool)
    await pool.shutdown(cancelPending: false)

    let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let width = sorted.first.map { String($0.value).count } ?? 0
    for (word, count) in top == 0 ? sorted[...] : sorted.prefix(top) {
      print(String(repeating: " ", count: width - String(count).count) + "\(count) \(word)")
    }

    for error in input.errors + errors { note("wordcount: \(error)") }
    let seconds = start.duration(to: .now) / .seconds(1)
    let total = counts.values.reduce(0, +)
    note(
      "\(total) words, \(counts.count) different, in \(input.pieces.count) pieces of \(input.fileCount) files; "
        + "\(workers) \(self.pool), \((seconds * 100).rounded() / 100) s")
    if !(input.errors + errors).isEmpty { throw ExitCode.failure }
  }
}

/// Counts words with whatever pool it is given: every piece is a task, and counts are added up as they come.
func countWords(in pieces: [Piece], on pool: any TaskPool) async -> (counts: [String: Int], errors: [FileError]) {
  var counts: [String: Int] = [:]
  var errors: [FileError] = []
  for await future in asCompleted(pieces.map { pool.submit(CountWords(piece: $0)) }) {
    switch await future.result {
    case .success(let some): counts.merge(some, uniquingKeysWith: +)
    case .failure(let error as FileError): errors.append(error)
    case .failure(let error): errors.append(FileError(path: "a piece", reason: "\(error)"))
    }
  }
  return (counts, errors.sorted { $0.path < $1.path })
}
