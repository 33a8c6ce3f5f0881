import ConcurrentFutures

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs every snippet, then compares the documents with them.
@main
enum Main {
  static func main() async throws {
    try await runProblem()
    try await runFutures()
    try await ThreadPool.shared.run { runFuturesSynchronously() }
    try await runCombinators()
    try await runPools()
    try await ThreadPool.shared.run { runPoolsSynchronously() }
    try await runBridges()
    try await runProcesses()

    let (blocks, complaints) = Documents.check()
    for complaint in complaints { print(complaint, "\n") }
    print("\(blocks) blocks of Swift in \(Documents.paths.count) documents, \(complaints.count) complaints")
    if !complaints.isEmpty { exit(1) }
  }
}

/// Stops the program if a snippet does not do what its document says.
func expect(_ holds: Bool, file: StaticString = #fileID, line: UInt = #line) {
  if !holds { fatalError("a snippet does not do what its document says", file: file, line: line) }
}
