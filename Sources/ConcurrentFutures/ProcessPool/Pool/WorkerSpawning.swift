#if os(Linux) || os(macOS)
import CProcessSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What a pool's workers are, and how to start one.
struct WorkerBlueprint: Sendable {
  let name: String
  let options: ProcessPool.Options
  let initializer: Initializer?
  /// For tests: an error number to fail with instead of spawning, or 0.
  var injectedFailure: (@Sendable () -> Int32)?

  /// The task that every worker runs before any other, encoded once.
  struct Initializer: Sendable {
    let function: FunctionDefinition
    let message: EncodedMessage
  }

  struct SpawnFailure: Error {
    let number: Int32
    let step: String
    /// Whether it may go better in a moment.
    var isTransient: Bool { [EAGAIN, ENOMEM, EMFILE, ENFILE, EINTR, ETXTBSY].contains(number) }
    var description: String { "\(step): \(String(cString: cp_error_text(number)))" }
  }

  /// The number of the task that stands for the initializer.
  static var initializerTask: UInt64 { .max }

  func spawn() throws(SpawnFailure) -> WorkerHandle {
    if let failure = injectedFailure?(), failure != 0 { throw SpawnFailure(number: failure, step: "spawning a worker") }
    var sockets: [Int32] = [-1, -1]
    var pipe: [Int32] = [-1, -1]
    try check(cp_socket_pair(&sockets), "a socket pair")
    var kept = false
    defer {
      cp_close(sockets[1])
      cp_close(pipe[1])
      if !kept {
        cp_close(sockets[0])
        cp_close(pipe[0])
      }
    }
    try check(cp_pipe(&pipe), "a pipe")
    cp_make_nonblocking(pipe[0])
    let memoryDescriptor = cp_memory_object(ChannelMemory.totalSize)
    guard memoryDescriptor >= 0 else { throw SpawnFailure(number: cp_errno(), step: "shared memory") }
    defer { cp_close(memoryDescriptor) }
    guard let memory = ChannelMemory(descriptor: memoryDescriptor) else {
      throw SpawnFailure(number: cp_errno(), step: "mapping shared memory")
    }
    do throws(SpawnFailure) {
      let process = try start(socket: sockets[1], memory: memoryDescriptor, standardError: pipe[1])
      let exitDescriptor = cp_exit_descriptor(process)
      if exitDescriptor < 0 {
        let number = cp_errno()
        abandon(process)
        throw SpawnFailure(number: number, step: "watching a worker")
      }
      kept = true
      let worker = WorkerHandle(
        processIdentifier: process, socket: sockets[0], exitDescriptor: exitDescriptor, standardError: pipe[0],
        memory: memory, isSameBuild: isSameBuild)
      greet(worker)
      return worker
    } catch {
      if !kept { memory.unmap() }
      throw error
    }
  }

  /// A worker that cannot be watched cannot be used. Its socket is closed with the caller's, so it ends; this waits for it.
  private func abandon(_ process: Int32) {
    _ = cp_signal_group(process, SIGKILL)
    var signalled = false
    var code: Int32 = 0
    while cp_reap(process, &signalled, &code) == 0 { usleep(1000) }
  }

  private func check(_ number: Int32, _ step: String) throws(SpawnFailure) {
    if number != 0 { throw SpawnFailure(number: number, step: step) }
  }

  /// Whether closures can be named to the workers.
  var isSameBuild: Bool { options.workerExecutable.map(WorkerMark.isThisProgram) ?? true }

  private func start(socket: Int32, memory: Int32, standardError: Int32) throws(SpawnFailure) -> Int32 {
    let program = options.workerExecutable ?? cp_executable_path().map { String(cString: $0) }
    guard let program else { throw SpawnFailure(number: ENOENT, step: "the path of the program") }
    let mark = isSameBuild ? WorkerMark.expected ?? WorkerMark.anyBuild : WorkerMark.anyBuild
    var process: Int32 = 0
    let arguments = [CommandLine.arguments.first ?? program, "(worker of \(name))"]
    let error = withCStrings(arguments) { arguments in
      withCStrings(environment(mark: mark)) { environment in
        program.withCString { program in
          withOptionalCString(options.workingDirectory) { directory in
            var request = cp_spawn_request(
              path: program, arguments: arguments, environment: environment, working_directory: directory,
              worker_socket: socket, worker_memory: memory, standard_error: standardError)
            return cp_spawn(&request, &process)
          }
        }
      }
    }
    try check(error, "starting \(program == "/proc/self/exe" ? "a copy of the program" : program)")
    return process
  }

  /// What workers find in their environment, the mark included.
  func environment(mark: String) -> [String] {
    var entries: [String] = []
    if let environment = options.environment {
      entries = environment.map { "\($0.key)=\($0.value)" }
    } else if var entry = cp_environment() {
      while let text = entry.pointee {
        entries.append(String(cString: text))
        entry += 1
      }
    }
    entries.append("\(CP_WORKER_MARK)=\(mark)")
    if !options.writesBacktraces, !entries.contains(where: { $0.hasPrefix("SWIFT_BACKTRACE=") }) {
      entries.append(Self.noBacktraces)
    }
    return entries
  }

  /// Swift's runtime reads it before anything of ours runs in the worker, which then removes it: what tasks start goes by the
  /// program's own environment.
  static var noBacktraces: String { "SWIFT_BACKTRACE=\(CP_NO_BACKTRACES)" }

  /// The worker's first frames, which wait in the ring until it is up.
  private func greet(_ worker: WorkerHandle) {
    var settings = WorkerSettings()
    if let limit = options.memoryLimit { settings.limits.append((0, UInt64(limit))) }
    if let limit = options.processorTimeLimit { settings.limits.append((1, UInt64(max(1, limit.components.seconds)))) }
    if let limit = options.openFileLimit { settings.limits.append((2, UInt64(limit))) }
    settings.largestResidentSize = UInt64(options.maxResidentSize ?? 0)
    settings.hasInitializer = initializer != nil
    worker.send(OutgoingFrame(ChannelHeader(.configure), prefix: settings.bytes))
    if let initializer {
      worker.send(
        OutgoingFrame(
          ChannelHeader(.initialize, task: Self.initializerTask, function: initializer.function.number),
          message: initializer.message),
        defining: initializer.function)
    }
  }
}

private func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R) -> R {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { text in
    let bytes = text.utf8CString
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    bytes.withUnsafeBufferPointer { copy.initialize(from: $0.baseAddress!, count: $0.count) }
    return copy
  }
  pointers.append(nil)
  defer { for pointer in pointers { pointer?.deallocate() } }
  return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}

private func withOptionalCString<R>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> R) -> R {
  if let text { return text.withCString(body) }
  return body(nil)
}
#endif
