/// What a pool's queue holds: something that a worker can run once.
///
/// `work` takes the item itself, so that it needs to capture nothing: code that the caller's module has specialised for
/// its result type can then be stored here without an allocation.
@_documentation(visibility: internal)
public class _PoolItem: @unchecked Sendable {
  @usableFromInline typealias Work = @Sendable (_PoolItem) -> Void

  @usableFromInline @exclusivity(unchecked) final let work: Work?

  @usableFromInline init(work: Work?) { self.work = work }

  /// The pool will never run this item: it broke or was shut down before the item could be queued.
  @usableFromInline func rejected(because error: any Error) {
    preconditionFailure("an item that no pool holds cannot be rejected")
  }
}
