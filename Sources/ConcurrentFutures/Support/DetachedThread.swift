import CPlatformSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

private final class ThreadStart {
  let name: String
  let body: @Sendable () -> Void
  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}

/// Starts a thread of our own that blocks every signal: the program's handlers run on the program's threads.
///
/// - Returns: whether the system gave us one.
@discardableResult
func startDetachedThread(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
  let start = Unmanaged.passRetained(ThreadStart(name: name, body: body))
  var all = sigset_t()
  var before = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_SETMASK, &all, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

  // A number with glibc, a pointer elsewhere. The argument is nullable everywhere but in Darwin's header.
  #if canImport(Glibc)
  var thread = pthread_t()
  #else
  var thread: pthread_t?
  #endif
  #if canImport(Darwin)
  let result = pthread_create(&thread, nil, { runThread($0) }, start.toOpaque())
  #else
  let result = pthread_create(&thread, nil, { runThread($0!) }, start.toOpaque())
  #endif
  guard result == 0 else {
    start.release()
    return false
  }
  #if canImport(Darwin)
  if let thread { pthread_detach(thread) }
  #else
  pthread_detach(thread)
  #endif
  return true
}

private func runThread(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  setThreadName(start.name)
  start.body()
  return nil
}

/// Names the calling thread, in at most 15 bytes, which is what Linux keeps. Spaces become dashes: Dispatch parses
/// `/proc/<tid>/stat` of its threads and would stumble over them.
func setThreadName(_ name: String) {
  let name = String(decoding: name.utf8.prefix(15).map { $0 <= 32 || $0 == 40 || $0 == 41 ? 45 : $0 }, as: UTF8.self)
  cf_set_thread_name(name)
}
