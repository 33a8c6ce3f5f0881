#if os(Linux) || os(macOS)
import CPlatformSupport
import Synchronization

/// Answers that take long to decode are decoded elsewhere than on the driver's thread, where all other answers would wait for them: on
/// the thread that waits for it if that reads the answer itself, or on a thread of its own.
///
/// There are as many of these at most as there are workers: who sends more has to wait.
extension ProcessPoolCore {
  /// Takes an answer that is long; false if it has to be taken here.
  func finishElsewhere(_ work: ProcessWork, _ answer: ReceivedFrame) -> Bool {
    guard decoding.load(ordering: .relaxed) < maxWorkers else { return false }
    beginDecoding()
    let started = startDetachedThread(name: name) { [self] in
      let thread = DecodingThread(self)
      cf_thread().pointee.worker = Unmanaged.passUnretained(thread as BlockingHost).toOpaque()
      work.finish(answer)
      cf_thread().pointee.worker = nil
      thread.endDecoding()
    }
    if !started { decoding.subtract(1, ordering: .relaxed) }
    return started
  }

  /// The pool does not close before the answer is taken. For whoever drives.
  func beginDecoding() { decoding.add(1, ordering: .relaxed) }

  /// From any thread. The release makes what it has done seen by the driver that finds nobody decoding, and closes the pool.
  func endDecoding() {
    decoding.subtract(1, ordering: .releasing)
    driver.wake()
  }
}

/// A thread that decodes an answer, completes its future and runs the future's callbacks.
private final class DecodingThread: BlockingHost, @unchecked Sendable {
  private let core: ProcessPoolCore
  // This thread's.
  @exclusivity(unchecked) private var isDecoding = true

  init(_ core: ProcessPoolCore) { self.core = core }

  func endDecoding() {
    if isDecoding { core.endDecoding() }
    isDecoding = false
  }

  override func sleep(untilDone future: _FutureCore) {
    endDecoding()
    _ = future.park(until: nil)
  }

  /// A callback blocks, perhaps for the end of this pool; the future is done.
  override func willBlock() { endDecoding() }
}
#endif
