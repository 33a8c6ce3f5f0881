import CProcessSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The worker process that ran a task ended before the task did: it crashed, exited, or was killed.
///
/// Only the task that the worker was running fails so. The worker is replaced, and everything else completes.
public struct WorkerTerminatedError: Error, Sendable, Hashable, CustomStringConvertible {
  /// How a process ends.
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    /// It exited with this code; -1 where another part of the program has waited for it, and the code is lost.
    case exited(Int32)
    /// A signal of this number ended it; ``signalName`` has its name.
    case signalled(Int32)

    /// The code, or the signal by name and number.
    public var description: String {
      switch self {
      case .exited(-1): return "ended, nobody knows how (another part of the program has waited for it)"
      case .exited(let code): return "exited with code \(code)"
      case .signalled(let number):
        return "was ended by \(signalName ?? "an unknown signal") (signal \(number))"
      }
    }

    /// The signal's name, such as "SIGSEGV"; nil where the process exited, and for signals that have only numbers.
    public var signalName: String? {
      #if os(Linux) || os(macOS)
      if case .signalled(let number) = self, let name = cp_signal_name(number) { return String(cString: name) }
      #endif
      return nil
    }
  }

  /// The worker's process.
  public let processIdentifier: Int32
  /// How it ended.
  public let reason: Reason
  /// The last lines that the worker wrote to its standard error while it ran this task; at most 4 KiB.
  public let standardErrorTail: String
  /// The task: its type, or the argument and result of its closure.
  public let taskName: String
  /// How often the task was begun, retries included.
  public let attempts: Int
  /// What the worker did that no worker does, and for which the pool killed it; nil mostly.
  ///
  /// It says that something in the worker writes where it should not: stray pointers of the task, or somebody who has taken it over.
  public let violation: String?

  init(
    processIdentifier: Int32, reason: Reason, standardErrorTail: String, taskName: String, attempts: Int,
    violation: String? = nil
  ) {
    self.processIdentifier = processIdentifier
    self.reason = reason
    self.standardErrorTail = standardErrorTail
    self.taskName = taskName
    self.attempts = attempts
    self.violation = violation
  }

  /// What happened, what to do about it, and the last lines of standard error.
  public var description: String {
    var text = "worker process \(processIdentifier) \(reason) while it ran \(taskName)"
    if attempts > 1 { text += ", at attempt \(attempts)" }
    if let explanation { text += " (\(explanation))" }
    if !standardErrorTail.isEmpty { text += "; its standard error ended with:\n\(standardErrorTail)" }
    return text
  }

  private var explanation: String? {
    if let violation {
      return "the pool killed it because it broke the protocol: \(violation). Its task writes to memory or descriptors "
        + "that are not its own, or was taken over"
    }
    #if os(Linux) || os(macOS)
    switch reason {
    case .signalled(SIGKILL):
      return "killed from outside, mostly by the kernel when memory is short: use fewer workers, or limit their memory "
        + "with Options.memoryLimit"
    case .signalled(SIGXCPU): return "it used more processor time than Options.processorTimeLimit allows"
    case .exited(0): return "the task called exit"
    default: break
    }
    #endif
    return nil
  }
}

/// An error that a task threw in another process and that could not travel as itself.
///
/// Errors travel as themselves when their type is `Codable`.
public struct RemoteError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The name of the error's type.
  public let typeName: String
  /// The error's description.
  public let message: String

  /// The error's description and type, and what to do to get the error itself.
  public var description: String {
    "\(message) (\(typeName) in a worker process; make it Codable to receive it as itself)"
  }
}

/// A task's closure, argument or result cannot travel between processes.
public struct TaskEncodingError: Error, Sendable, CustomStringConvertible {
  /// What cannot travel.
  public enum Subject: UInt8, Sendable, Hashable {
    /// The closure.
    case closure = 0
    /// The argument, or the task itself.
    case argument = 1
    /// The result.
    case result = 2
  }

  /// What cannot travel.
  public let subject: Subject
  /// Why, and what to write instead.
  public let reason: String
  /// The error that encoding threw, where it happened in this process.
  public let underlyingError: (any Error)?

  init(_ subject: Subject, _ reason: String, underlyingError: (any Error)? = nil) {
    self.subject = subject
    self.reason = reason
    self.underlyingError = underlyingError
  }

  /// What cannot travel, why, and what to write instead.
  public var description: String {
    let text = "the task's \(subject) cannot travel between processes: \(reason)"
    // What is wrong with a closure is known, and so is the remedy.
    if subject == .closure { return text }
    return text + (text.hasSuffix(".") ? " " : ". ") + Self.ruleForValues
  }

  private static var ruleForValues: String {
    "What travels must encode and decode by what is in it alone, without reference to its process; large data belongs into a "
      + "SharedArray"
  }
}

/// A refusal on its way from the worker.
struct Refusal {
  let subject: TaskEncodingError.Subject
  let reason: String

  init(_ subject: TaskEncodingError.Subject, _ reason: String) {
    self.subject = subject
    self.reason = reason
  }

  var bytes: [UInt8] {
    var writer = ReferenceWriter()
    writer.write(byte: subject.rawValue)
    writer.write(reason)
    return writer.bytes
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    var reader = ReferenceReader(bytes)
    guard let subject = reader.byte().flatMap(TaskEncodingError.Subject.init), let reason = reader.string() else {
      return nil
    }
    self.init(subject, reason)
  }
}
