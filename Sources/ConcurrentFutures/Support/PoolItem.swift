/// What a pool's queue holds: something that a worker can run once.
///
/// `work` takes the item itself, so that it needs to capture nothing: code that the caller's module has specialised for
/// its result type can then be stored here without an allocation.
@_documentation(visibility: internal)
public class _PoolItem: @unchecked Sendable {
  @usableFromInline typealias Work = @Sendable (_PoolItem) -> Void

  @usableFromInline @exclusivity(unchecked) final let work: Work?

  /// Which pool's queue the item is in; 0 for none. Set before the item is published, and compared only.
  @usableFromInline @exclusivity(unchecked) final var home: UInt = 0

  @usableFromInline init(work: Work?) { self.work = work }

  /// Whether running the item would do nothing: it was cancelled while it waited, or somebody else ran it.
  @usableFromInline var isSpent: Bool { false }
  /// Whether somebody has asked the running item to stop.
  @usableFromInline var isAskedToStop: Bool { false }
  /// The pool gives up what it has not started.
  @usableFromInline func cancelBeforeStart() {}

  /// The pool will never run this item: it broke or was shut down before the item could be queued.
  @usableFromInline func rejected(because error: any Error) {
    preconditionFailure("an item that no pool holds cannot be rejected")
  }
}
