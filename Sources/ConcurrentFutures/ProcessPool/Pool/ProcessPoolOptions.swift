#if os(Linux) || os(macOS)
extension ProcessPool {
  /// What few pools need: where workers run, and what they may use.
  public struct Options: Sendable {
    /// The executable that workers run, instead of the program itself; it must link this library.
    ///
    /// For hosts where the running executable is not the program, such as a plug-in. Workers of another executable run tasks whose types they have
    /// too, and no closures.
    public var workerExecutable: String?
    /// The workers' environment; nil for the parent's at the time of their start.
    public var environment: [String: String]?
    /// Whether a worker that crashes writes Swift's backtrace to its standard error before it ends; by default not.
    ///
    /// Writing one keeps the crashed process for a tenth of a second to a second, in which its task counts as running and its place is
    /// taken, and pushes what the task wrote last out of ``WorkerTerminatedError/standardErrorTail``. The message of a `fatalError` is
    /// written in any case. Where the workers' environment has a variable `SWIFT_BACKTRACE`, that alone counts.
    public var writesBacktraces = false
    /// The workers' working directory; nil for the parent's.
    public var workingDirectory: String?
    /// The most address space that a worker may have, in bytes (`RLIMIT_AS`).
    public var memoryLimit: Int?
    /// The most processor time that a worker may use in its life, in whole seconds (`RLIMIT_CPU`).
    public var processorTimeLimit: Duration?
    /// The most descriptors that a worker may have open (`RLIMIT_NOFILE`).
    public var openFileLimit: Int?
    /// A worker that has more memory resident than this after a task, in bytes, is replaced.
    public var maxResidentSize: Int?
    /// How long a task that was cancelled or timed out may go on after SIGTERM before SIGKILL ends its worker.
    ///
    /// Its future does not wait for that. A task sees the request in its Task's cancellation.
    public var terminationGracePeriod: Duration = .milliseconds(250)

    /// No limits, and the program itself.
    public init() {}
  }
}
#endif
