#if os(Linux) || os(macOS)
import CPlatformSupport
import CProcessSupport
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The thread that drives a pool, and how to wake it.
///
/// It sleeps in poll(2) on the workers' sockets, their standard errors, the descriptors that tell of their end, and a pipe.
///
/// **Sleeping without losing a command.** `wake` stores `hasCommand` and then looks at `sleeps`; the driver stores `sleeps` and then looks
/// at `hasCommand`. All four are sequentially consistent, so one of the two sees the other. Of several that wake, the exchange lets
/// one write to the pipe. What the command is about was changed under the scheduler's lock.
///
/// **The right to drive** (`isDriven`) is a lock: taking it acquires, giving it back releases, so all that only drivers touch has one
/// owner at a time. `isWanted` and `isHelperThere` are hints between those who compete for it: an old value costs a few more looks.
/// `generation` is raised by the thread that hands over before it starts the next one; a thread that reads another number than its own
/// is not the driver any more and touches nothing.
final class PoolDriver: Sendable {
  /// 1 while the driver sleeps, or is about to.
  private let sleeps = Atomic<UInt32>(0)
  private let hasCommand = Atomic<Bool>(false)
  private let pipe = AdaptivelyLocked<(read: Int32, write: Int32)>((-1, -1))
  /// Who drives: each thread that takes over has a higher number.
  let generation = Atomic<Int>(0)

  /// The right to read what workers say. The driver's thread has it while it is awake, and a thread that waits for a future may
  /// have it for a moment.
  private let isDriven = Atomic<Bool>(false)
  private let isWanted = Atomic<Bool>(false)

  func tryDrive() -> Bool {
    !isDriven.load(ordering: .relaxed)
      && isDriven.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  /// For the driver's thread: whoever has the right gives it back at once, unless it lost its core.
  func drive() {
    var looks = 0
    while !tryDrive() {
      isWanted.store(true, ordering: .relaxed)
      looks += 1
      if looks < 100 { sched_yield() } else { usleep(100) }
    }
    isWanted.store(false, ordering: .relaxed)
  }

  /// A thread that waits would like to drive: the driver's thread goes to sleep when it has nothing to do, without spinning.
  private let isHelperThere = Atomic<Bool>(false)
  func helperWantsToDrive(_ wants: Bool) { isHelperThere.store(wants, ordering: .relaxed) }
  var doesHelperWantToDrive: Bool { isHelperThere.load(ordering: .relaxed) }

  func stopDriving() { isDriven.store(false, ordering: .releasing) }
  var driverWantsToDrive: Bool { isWanted.load(ordering: .relaxed) }

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
#endif
