#if os(Linux)
import CProcessSupport
import Foundation
import Testing

@testable import ConcurrentFutures

/// Which processes become workers: decided in a constructor, before `main`.
@Suite struct DiversionTests {
  private func decide(_ mark: String?, raisedRights: Bool = false, peerIsParent: Bool = true) -> cp_diversion {
    guard let mark else { return cp_diversion(nil, raisedRights, peerIsParent) }
    return cp_diversion(mark, raisedRights, peerIsParent)
  }

  @Test func onlyAMarkedChildOfItsParentBecomesAWorker() {
    #expect(decide(nil) == CP_RUN_PROGRAM)
    #expect(decide(nil, peerIsParent: false) == CP_RUN_PROGRAM)
    #expect(decide("1:any") == CP_RUN_WORKER)
    #expect(decide("1:any", peerIsParent: false) == CP_REFUSE)
    #expect(decide(String(repeating: "1", count: Int(CP_LONGEST_MARK))) == CP_REFUSE)
    #expect(decide("") == CP_RUN_WORKER, "the mark's value is the worker's to check")
  }

  @Test func aProcessWithRaisedRightsNeverBecomesAWorker() {
    for peerIsParent in [true, false] {
      for mark in ["1:any", "", String(repeating: "1", count: 500)] {
        #expect(decide(mark, raisedRights: true, peerIsParent: peerIsParent) == CP_RUN_PROGRAM)
      }
    }
  }

  private static let mayTrySetuid =
    geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0 && run("command -v clang").status == 0

  private static func run(_ command: String) -> (status: Int32, output: String) {
    guard let pipe = popen("exec 2>&1; \(command)", "r") else { return (-1, "") }
    var output = ""
    var bytes = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&bytes, 1, bytes.count, pipe), count > 0 {
      output += String(decoding: bytes[..<count], as: UTF8.self)
    }
    return (pclose(pipe), output)
  }

  /// The constructor in a program of its own, which is then setuid root and started by somebody else with the mark set.
  @Test(.enabled(if: mayTrySetuid, "needs root, setpriv and clang"), .timeLimit(.minutes(4)))
  func aSetuidProgramStaysItself() throws {
    let folder = "/tmp/cf-setuid-\(getpid())"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let program = """
      #include <stdio.h>
      #include <stdlib.h>
      void cf_process_worker_main(const char *mark) { puts("worker"); fflush(stdout); _Exit(0); }
      int main(void) { puts(getenv("CONCURRENT_FUTURES_WORKER") ? "program with mark" : "program"); return 0; }
      """
    try program.write(toFile: "\(folder)/main.c", atomically: true, encoding: .utf8)
    let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources/CProcessSupport").path
    let built = Self.run(
      "clang -I'\(sources)/include' '\(sources)/divert.c' '\(sources)/descriptors.c' \(folder)/main.c -lpthread -o \(folder)/program"
    )
    try #require(built.status == 0, "\(built.output)")
    let marked = "CONCURRENT_FUTURES_WORKER=1:any"
    // Without raised rights the mark is believed, and refused, as descriptor 3 is no parent's socket.
    let plain = Self.run("env \(marked) \(folder)/program")
    #expect(plain.output.contains("this process is not the worker of a ProcessPool"))
    #expect(plain.status >> 8 == CP_EXIT_REFUSED)
    #expect(chmod("\(folder)/program", 0o4755) == 0)
    let raised = Self.run("setpriv --reuid=65534 --clear-groups env \(marked) \(folder)/program")
    #expect(raised.output == "program\n", "the program itself, and the mark is gone")
    #expect(raised.status == 0)
  }
}
#endif
