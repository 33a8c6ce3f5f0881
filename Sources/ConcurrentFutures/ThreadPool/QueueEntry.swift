import CPlatformSupport

/// One thing that a pool's queue holds, in one word: a pointer, and in its lowest bits what it points to.
@usableFromInline
struct QueueEntry: Sendable, Equatable {
  @usableFromInline let bits: UInt

  @inlinable init(bits: UInt) { self.bits = bits }

  private static let kindMask: UInt = 0b11
  private static let itemKind: UInt = 0b00
  @usableFromInline static let frameKind: UInt = 0b01
  private static let jobKind: UInt = 0b10

  /// An item, which the entry owns from now on.
  init(owning item: _PoolItem) {
    bits = UInt(bitPattern: Unmanaged.passRetained(item).toOpaque()) | Self.itemKind
  }

  /// An item that no other thread knows yet, which the entry owns from now on. The count may then be raised without an
  /// atomic operation; whoever gets to know the item gets it with a lock or a release store.
  init(owningNew item: _PoolItem) {
    let pointer = Unmanaged.passUnretained(item).toOpaque()
    cf_retain_unshared(pointer)
    bits = UInt(bitPattern: pointer) | Self.itemKind
  }

  /// The second half of a `join`, which lives on the stack of the worker that forked it.
  @inlinable init(frame: UnsafeMutablePointer<JoinFrame>) {
    bits = UInt(bitPattern: frame) | Self.frameKind
  }

  /// A job of Swift's concurrency runtime, one pointer in size and aligned like one.
  init(_ job: UnownedJob) {
    bits = unsafeBitCast(job, to: UInt.self) | Self.jobKind
  }

  var isItem: Bool { bits & Self.kindMask == Self.itemKind }
  var isFrame: Bool { bits & Self.kindMask == Self.frameKind }

  enum Content {
    case item(Unmanaged<_PoolItem>)
    case frame(UnsafeMutablePointer<JoinFrame>)
    case job(UnownedJob)
  }

  var content: Content {
    let pointer = bits & ~Self.kindMask
    switch bits & Self.kindMask {
    case Self.itemKind: return .item(Unmanaged.fromOpaque(UnsafeRawPointer(bitPattern: pointer)!))
    case Self.frameKind: return .frame(UnsafeMutablePointer(bitPattern: pointer)!)
    default: return .job(unsafeBitCast(pointer, to: UnownedJob.self))
    }
  }

  /// The item, not retained, or nil if this is none.
  var item: _PoolItem? {
    if case .item(let item) = content { return item._withUnsafeGuaranteedRef { $0 } }
    return nil
  }
}
