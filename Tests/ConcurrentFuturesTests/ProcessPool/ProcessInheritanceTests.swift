#if os(Linux) || os(macOS)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What a process does with signals.
private struct Signals: Codable, Sendable {
  var blocked: [Int32]
  var ignored: [Int32]

  /// Of this thread, and of this process.
  static func now() -> Signals {
    var mask = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &mask)
    let all = (1..<32).filter { ![SIGKILL, SIGSTOP].contains($0) }
    return Signals(blocked: all.filter { sigismember(&mask, $0) == 1 }, ignored: all.filter(isIgnored))
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    let handler = signal(number, SIG_DFL)
    signal(number, handler)
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}

/// Of this process.
private func workingDirectory() -> String {
  guard let path = getcwd(nil, 0) else { return "" }
  defer { free(path) }
  return String(cString: path)
}

extension ProcessPools {
  /// What workers have of their parent, and what they have not. The parents are workers themselves, which make pools of their own.
  @Suite struct Inheritance {
    @Test func signalsAreAsInANewProcess() async throws {
      try await withPool(workers: 1) { pool in
        let signals = try await pool.submit { () -> [Signals] in
          var mask = sigset_t()
          sigemptyset(&mask)
          sigaddset(&mask, SIGTERM)
          sigaddset(&mask, SIGUSR1)
          // Also for the pool's threads, which start later.
          pthread_sigmask(SIG_BLOCK, &mask, nil)
          signal(SIGPIPE, SIG_IGN)
          signal(SIGHUP, SIG_IGN)
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          return [Signals.now(), try inner.submit { Signals.now() }.wait()]
        }.value
        #expect(signals[0].blocked == [SIGUSR1, SIGTERM])
        #expect(signals[0].ignored.contains(SIGPIPE) && signals[0].ignored.contains(SIGHUP))
        #expect(signals[1].blocked == [])
        // Those that concern a terminal.
        #expect(signals[1].ignored == [SIGINT, SIGTTOU])
      }
    }

    @Test func descriptorsAreClosedAlsoIfTheyAreNotCloseOnExec() async throws {
      try await withPool(workers: 1) { pool in
        let flags = try await pool.submit(300) { (number: Int32) -> [Int32] in
          dup2(0, number)
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          return [fcntl(number, F_GETFD), try inner.submit(number) { fcntl($0, F_GETFD) }.wait()]
        }.value
        #expect(flags == [0, -1], "open in the parent and inherited by others, closed in the worker")
      }
    }

    @Test func standardOutputIsTheParents() async throws {
      try await withPool(workers: 1) { pool in
        let text = pool.submit { () -> String in
          var ends: [Int32] = [0, 0]
          pipe(&ends)
          _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
          dup2(ends[1], 1)
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          try inner.submit { print("words of a worker") }.wait()
          var bytes = [UInt8](repeating: 0, count: 100)
          let count = read(ends[0], &bytes, bytes.count)
          return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }
        try await #expect(text.value == "words of a worker\n", "written when the task has ended")
      }
    }

    #if os(Linux)
    @Test func standardOutputThatIsClosedTakesAllAndKeepsNothing() async throws {
      try await withPool(workers: 1) { pool in
        let targets = pool.submit { () -> [String] in
          close(1)
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          let target = try inner.submit { () -> String in
            print("words of a worker")
            return SystemFiles.target(of: "/proc/self/fd/1")
          }.wait()
          return [SystemFiles.target(of: "/proc/self/fd/1"), target]
        }
        try await #expect(targets.value == ["", "/dev/null"])
      }
    }
    #endif

    @Test func theEnvironmentIsTheParentsAtTheTimeOfTheStart() async throws {
      try await withPool(workers: 1) { pool in
        let greetings = pool.submit { () -> [String?] in
          let inner = ProcessPool(maxWorkers: 1, name: "test")
          defer { inner.shutdownAndWait() }
          setenv("CF_GREETING", "hello", 1)
          let inherited = try inner.submit { getenv("CF_GREETING").map { String(cString: $0) } }.wait()
          // One of its own is all that it has.
          let other = makePool(workers: 1)
          defer { other.shutdownAndWait() }
          return [inherited, try other.submit { getenv("CF_GREETING").map { String(cString: $0) } }.wait()]
        }
        try await #expect(greetings.value == ["hello", nil])
      }
    }

    @Test func theWorkingDirectoryIsTheParentsUnlessItIsSet() async throws {
      try await withPool(workers: 1) { pool in
        let directories = pool.submit { () -> [String] in
          chdir("/usr")
          var options = ProcessPool.Options()
          let inner = makePool(workers: 1, options: options)
          defer { inner.shutdownAndWait() }
          options.workingDirectory = "/"
          let other = makePool(workers: 1, options: options)
          defer { other.shutdownAndWait() }
          return [
            try inner.submit { workingDirectory() }.wait(), try other.submit { workingDirectory() }.wait(),
            workingDirectory(),
          ]
        }
        try await #expect(directories.value == ["/usr", "/", "/usr"])
      }
    }
  }
}
#endif
