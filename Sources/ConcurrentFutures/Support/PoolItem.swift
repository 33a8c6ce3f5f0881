import Synchronization

/// What a pool's queue holds: something that a worker can run once.
///
/// `work` takes the item itself, so that it needs to capture nothing: code that the caller's module has specialised for
/// its result type can then be stored here without an allocation.
@_documentation(visibility: internal)
public class _PoolItem: @unchecked Sendable {
  @usableFromInline typealias Work = @Sendable (_PoolItem) -> Void

  @usableFromInline @exclusivity(unchecked) final let work: Work?

  /// Which pool's queue the item is in; ``PoolID/none`` for none. Set before the item is published.
  @usableFromInline @exclusivity(unchecked) final var home: PoolID = .none

  @usableFromInline init(work: Work?) { self.work = work }

  /// Whether running the item would do nothing: it was cancelled while it waited, or somebody else ran it.
  @usableFromInline var isSpent: Bool { false }
  /// Whether somebody has asked the running item to stop.
  ///
  /// An item that is not a future runs jobs of Tasks: they know it themselves.
  @usableFromInline var isAskedToStop: Bool { withUnsafeCurrentTask { $0?.isCancelled ?? false } }
  /// The pool gives up what it has not started.
  @usableFromInline func cancelBeforeStart() {}

  /// The pool will never run this item: it broke or was shut down before the item could be queued.
  @usableFromInline func rejected(because error: any Error) {
    preconditionFailure("an item that no pool holds cannot be rejected")
  }
}

/// A small number that no two pools have at once: every future has room for it.
@usableFromInline
struct PoolID: Equatable, Sendable {
  fileprivate let number: UInt16

  /// No pool. Also what a pool gets when 65,535 others are there; its waiters then sleep where others would help.
  @usableFromInline static let none = PoolID(number: 0)

  private struct Registry {
    var free: [UInt16] = []
    var last: UInt16 = 0
  }
  private static let registry = Mutex(Registry())

  static func take() -> PoolID {
    registry.withLock { registry in
      if let number = registry.free.popLast() { return PoolID(number: number) }
      if registry.last == .max { return .none }
      registry.last += 1
      return PoolID(number: registry.last)
    }
  }

  /// The pool is gone, and so is everything that was in its queue.
  func giveBack() {
    if self != .none { Self.registry.withLock { $0.free.append(number) } }
  }
}
