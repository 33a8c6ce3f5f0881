#if os(Linux) || os(macOS)
import CPlatformSupport
import Synchronization

/// Where answers are decoded, which runs the `init(from:)` of the user's types: a thread that has read its own answer gives the right to
/// drive back before. Of those that the driver's thread reads, what takes long goes to a thread of its own, or all other answers
/// would wait for it. There are as many such threads at most as there are workers: who sends more has to wait.
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

  /// The pool does not close before the answer is taken. For whoever drives: who closes has the same right, so this is seen.
  func beginDecoding() { decoding.add(1, ordering: .relaxed) }

  /// From any thread.
  ///
  /// Against ``isDecoding``: each side writes, then reads what the other writes, all sequentially consistent. So either the driver
  /// finds nobody decoding (and by the same order all that was done before), or it is woken here to look again.
  func endDecoding() {
    decoding.subtract(1, ordering: .sequentiallyConsistent)
    if waitsForDecoding.load(ordering: .sequentiallyConsistent) { driver.wake() }
  }

  /// The callbacks of a work's future are the driver's thread's to run, which counts as decoding until they are its own.
  func handOver(_ work: ProcessWork) {
    undelivered.withLock { $0.append(work) }
    driver.wake()
  }

  /// For the driver, when it was woken.
  func takeUndelivered(_ state: DriverState) {
    let works = undelivered.withLock { works in
      defer { works = [] }
      return works
    }
    for work in works { state.deliveries.append(.callbacks(work)) }
    if !works.isEmpty { decoding.subtract(works.count, ordering: .relaxed) }
  }

  /// For the driver that would close the pool. If so, it is woken when that may have changed.
  var isDecoding: Bool {
    waitsForDecoding.store(true, ordering: .sequentiallyConsistent)
    return decoding.load(ordering: .sequentiallyConsistent) > 0
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

  /// A callback blocks, perhaps for the end of this pool; the future is done. (Or somebody's `init(from:)` does: then it is not done yet,
  /// and the pool may close before; better than never.)
  override func willBlock() { endDecoding() }
}
#endif
