import ArgumentParser
import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@main
struct Checksums: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checksums",
    abstract: "Prints the SHA-256 of every regular file below a directory, as sha256sum does.",
    discussion: """
      `checksums DIR | sha256sum --check --quiet` checks the result. Symbolic links are not followed. Errors are reported \
      for each file; the exit status is then 1.
      """)

  @Argument(help: "Where to start. Default: the package that this program comes from.", completion: .directory)
  var directory: String?

  @Flag(help: "Print in the order of the paths' bytes instead of as results come.")
  var ordered = false

  @Flag(help: "Do not skip .build and .git.")
  var all = false

  @Option(help: "Files that are read and hashed at once, from 1 to \(ThreadPool.maxWorkersLimit).")
  var workers = ThreadPool.defaultMaxWorkers

  func validate() throws {
    if !(1...ThreadPool.maxWorkersLimit).contains(workers) {
      throw ValidationError("--workers must be from 1 to \(ThreadPool.maxWorkersLimit), not \(workers).")
    }
  }

  func run() throws {
    let root = Path(directory ?? Self.ownPackage)
    let tree = FileTree(root: root, skipping: all ? [] : [Array(".build".utf8), Array(".git".utf8)])
    let pool = ThreadPool(maxWorkers: workers, name: "checksums")
    var terminal = Terminal()
    var hasErrors = false

    // The tree is read as results are handed out: a few files are under way at any time, however many there are.
    for result in pool.results(of: tree, maxInFlight: 8 * workers, ordered: ordered, { try digest(of: $0.get()) }) {
      switch result {
      case .success(let digest?):
        try terminal.print(checksumLine(sha256: digest.sha256, path: digest.path))
        terminal.advance(by: digest.size)
      case .success(nil):
        // Not a regular file any more.
        continue
      case .failure(let error):
        terminal.report(error)
        hasErrors = true
      }
    }

    try terminal.finish()
    if hasErrors { throw ExitCode.failure }
  }

  /// The package's directory as it was when this program was built, or the current directory if that is gone.
  private static var ownPackage: String {
    let parts = #filePath.split(separator: "/").dropLast(4)
    let package = "/" + parts.joined(separator: "/")
    var here = stat()
    var there = stat()
    guard stat(".", &here) == 0, stat(package, &there) == 0, access("\(package)/Package.swift", F_OK) == 0 else {
      return "."
    }
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino) ? "." : package
  }
}
