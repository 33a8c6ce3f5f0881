/// What a thread of one of our pools does when code on it blocks in ``Future/wait(timeout:)``.
///
/// A pool's worker is one; the thread's state points to it. Futures know no more of pools than this.
@usableFromInline
class BlockingHost: @unchecked Sendable {
  /// The core of the ``ThreadPool`` whose worker this is; null for others, such as the threads that drive a process pool.
  @exclusivity(unchecked) final var threadPool: UnsafeMutableRawPointer?

  /// The thread wants `future` done. The host may run it, if it is work that waits in the host's own pool.
  func runInline(_ future: _FutureCore) {}
  /// The thread has nothing to do until `future` is done.
  func sleep(untilDone future: _FutureCore) { preconditionFailure("abstract") }
  /// Whether the thread has too little stack left to run other work inside a wait. It then blocks like any other.
  var isShortOfStack: Bool { false }
  /// The thread is going to block otherwise: somebody else should take its place.
  func willBlock() {}
  /// The thread goes on.
  func didUnblock() {}
}
