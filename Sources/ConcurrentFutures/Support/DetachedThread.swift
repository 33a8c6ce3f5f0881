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

  #if canImport(Darwin)
  var thread: pthread_t?
  let result = pthread_create(&thread, nil, { runThread($0) }, start.toOpaque())
  guard result == 0, let thread else {
    start.release()
    return false
  }
  #else
  var thread = pthread_t()
  let result = pthread_create(&thread, nil, { runThread($0!) }, start.toOpaque())
  guard result == 0 else {
    start.release()
    return false
  }
  #endif
  pthread_detach(thread)
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
