import CPlatformSupport
import CProcessSupport
import Synchronization

/// The thread that drives a pool, and how to wake it.
///
/// It sleeps in poll(2) on the workers' sockets, their standard errors, the descriptors that tell of their end, and a pipe.
final class PoolDriver: Sendable {
  /// 1 while the driver sleeps, or is about to.
  private let sleeps = Atomic<UInt32>(0)
  private let hasCommand = Atomic<Bool>(false)
  private let pipe = Mutex<(read: Int32, write: Int32)>((-1, -1))
  /// Who drives: each thread that takes over has a higher number.
  let generation = Atomic<Int>(0)

  /// Makes the driver look at the scheduler again. From any thread.
  func wake() {
    hasCommand.store(true, ordering: .sequentiallyConsistent)
    guard sleeps.load(ordering: .sequentiallyConsistent) == 1,
      sleeps.exchange(0, ordering: .sequentiallyConsistent) == 1
    else { return }
    var byte: UInt8 = 1
    // Under the lock, since the pipe is closed when the pool is.
    pipe.withLock { if $0.write >= 0 { _ = cp_write($0.write, &byte, 1) } }
  }

  /// Whether somebody called `wake` since the last time.
  func takeCommand() -> Bool { hasCommand.exchange(false, ordering: .sequentiallyConsistent) }
  var isCommanded: Bool { hasCommand.load(ordering: .relaxed) }

  /// Announces sleep; false if there is something to do.
  func prepareToSleep() -> Bool {
    sleeps.store(1, ordering: .sequentiallyConsistent)
    if !hasCommand.load(ordering: .sequentiallyConsistent) { return true }
    sleeps.store(0, ordering: .sequentiallyConsistent)
    return false
  }

  func wokeUp() { sleeps.store(0, ordering: .sequentiallyConsistent) }

  /// The descriptor to sleep on; made on first use. -1 when there is none left: then sleeps must be short.
  func wakeDescriptor() -> Int32 {
    pipe.withLock { pipe in
      if pipe.read < 0 {
        var ends: [Int32] = [-1, -1]
        if cp_pipe(&ends) == 0 {
          pipe = (ends[0], ends[1])
          cp_make_nonblocking(ends[0])
          cp_make_nonblocking(ends[1])
        }
      }
      return pipe.read
    }
  }

  func emptyPipe(_ descriptor: Int32) {
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { _ = cp_read(descriptor, $0.baseAddress!, $0.count) }
  }

  func close() {
    pipe.withLock { pipe in
      cp_close(pipe.read)
      cp_close(pipe.write)
      pipe = (-1, -1)
    }
  }

  deinit { close() }
}
