public import CPlatformSupport
import Synchronization

/// What a pool's queue holds: something that a worker can run once.
///
/// `work` takes the item itself, so that it needs to capture nothing: code that the caller's module has specialised for
/// its result type can then be stored here without an allocation.
@_documentation(visibility: internal)
public class _PoolItem: @unchecked Sendable {
  @usableFromInline typealias Work = @Sendable (_PoolItem) -> Void

  /// The work, as the two words of a closure: its function, 0 for no work, and its context.
  ///
  /// In specialised code there is no context. Its place is then free for the context of the body that the work runs; see
  /// ``keepMemory(ofContext:)``. That is written by the one thread that runs the body, and read when the item is gone.
  @usableFromInline @exclusivity(unchecked) final let workFunction: UInt
  @usableFromInline @exclusivity(unchecked) final var workContext: UInt
  /// Whether the context is the work's own.
  @usableFromInline @exclusivity(unchecked) final let workHasContext: Bool

  /// Which pool's queue the item is in; ``PoolID/none`` for none. Set before the item is published.
  @usableFromInline @exclusivity(unchecked) final var home: PoolID = .none

  @inlinable init(work: Work?) {
    if let work {
      (workFunction, workContext) = WorkWords.retaining(work)
    } else {
      (workFunction, workContext) = (0, 0)
    }
    workHasContext = workContext != 0
  }

  deinit { if workContext != 0 { releaseContext() } }

  @inlinable final var hasWork: Bool { workFunction != 0 }

  /// Runs the work on this thread.
  @inline(__always)
  final func callWork() { WorkWords.work(workFunction, workHasContext ? workContext : 0)(self) }

  /// Keeps the bare memory of a closure's context until the item is gone. For a body that is about to be called, once: what
  /// it captures is destroyed when it returns, as always.
  ///
  /// Who makes a body mostly drops its future, too. Memory that the worker gave back would have to go from the worker's
  /// thread to the maker's, for which allocators take contended locks: that was half the time of a small task. A body that
  /// a waiter runs itself is mostly its own.
  @inlinable @inline(__always)
  final func keepMemory(ofContext context: UInt) {
    if context == 0 || workHasContext || !cf_thread().pointee.body_is_foreign { return }
    cf_keep_memory(context)
    workContext = context
  }

  @inline(never)
  private func releaseContext() {
    if workHasContext { cf_release_context(workContext) } else { cf_release_memory(workContext) }
  }

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

/// A closure taken apart. In a struct, since a closure that is passed as a generic value by itself is wrapped first.
@usableFromInline
struct WorkWords {
  @usableFromInline let work: _PoolItem.Work
  @inlinable init(work: @escaping _PoolItem.Work) { self.work = work }

  @inlinable @inline(__always)
  static func retaining(_ work: @escaping _PoolItem.Work) -> (UInt, UInt) {
    let words = unsafeBitCast(WorkWords(work: work), to: (UInt, UInt).self)
    if words.1 != 0 { cf_retain_context(words.1) }
    return words
  }

  @inline(__always)
  static func work(_ function: UInt, _ context: UInt) -> _PoolItem.Work {
    unsafeBitCast((function, context), to: WorkWords.self).work
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
