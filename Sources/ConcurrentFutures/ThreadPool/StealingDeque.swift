import Synchronization

/// A worker's own queue: the worker pushes and pops at the bottom, everybody takes from the top.
///
/// The deque of Chase and Lev ("Dynamic circular work-stealing deque", SPAA 2005) with the memory orderings of Lê, Pop,
/// Cohen and Zappa Nardelli ("Correct and efficient work-stealing for weak memory models", PPoPP 2013). In their words:
/// the fence in `pop` makes the owner's claim of the bottom visible before it reads the top, and the one in `steal` orders
/// the two reads of a thief, so that of an owner and a thief who want the last entry at least one sees the other; the
/// compare-and-swap on `top` then decides. `push` releases the entry with `bottom`, a thief acquires it there.
///
/// A buffer that was outgrown may still be read by a slow thief: it is kept until the deque is gone. All of them together
/// are no larger than the last.
final class StealingDeque: @unchecked Sendable {
  private typealias Buffer = UnsafeMutablePointer<Atomic<UInt>>

  private let top = Atomic(0)
  // Owners write `bottom`, thieves write `top`: not in one cache line.
  private let padding = CacheLinePadding()
  private let bottom = Atomic(0)
  private let current: Atomic<UnsafeMutableRawPointer>
  private let mask: Atomic<Int>
  @exclusivity(unchecked) private var outgrown: [(UnsafeMutableRawPointer, Int)] = []

  init(capacity: Int = 256) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    current = Atomic(Self.makeBuffer(capacity))
    mask = Atomic(capacity - 1)
  }

  deinit {
    Self.free(current.load(ordering: .relaxed), mask.load(ordering: .relaxed) + 1)
    for (buffer, capacity) in outgrown { Self.free(buffer, capacity) }
  }

  private static func makeBuffer(_ capacity: Int) -> UnsafeMutableRawPointer {
    let buffer = Buffer.allocate(capacity: capacity + 1)
    // The first element holds the mask: a thief that reads the pointer has the mask that belongs to it.
    for index in 0...capacity { (buffer + index).initialize(to: Atomic(index == 0 ? UInt(capacity - 1) : 0)) }
    return UnsafeMutableRawPointer(buffer)
  }

  private static func free(_ raw: UnsafeMutableRawPointer, _ capacity: Int) {
    let buffer = raw.assumingMemoryBound(to: Atomic<UInt>.self)
    buffer.deinitialize(count: capacity + 1)
    buffer.deallocate()
  }

  private var buffer: Buffer { current.load(ordering: .acquiring).assumingMemoryBound(to: Atomic<UInt>.self) }

  /// Any thread: how many there are, more or less.
  var count: Int { max(0, bottom.load(ordering: .relaxed) &- top.load(ordering: .relaxed)) }
  var isEmpty: Bool { count == 0 }
  /// Owner: where the next entry goes. Positions only grow.
  var nextPosition: Int { bottom.load(ordering: .relaxed) }
  /// Owner: whether entries from before this position may still be there.
  func holds(before position: Int) -> Bool { top.load(ordering: .relaxed) < position && !isEmpty }

  /// Owner: puts an entry at the bottom.
  func push(_ entry: QueueEntry) {
    let b = bottom.load(ordering: .relaxed)
    let t = top.load(ordering: .acquiring)
    var mask = mask.load(ordering: .relaxed)
    if b &- t > mask {
      grow(from: t, to: b, mask: mask)
      mask = self.mask.load(ordering: .relaxed)
    }
    buffer[1 &+ (b & mask)].store(entry.bits, ordering: .relaxed)
    bottom.store(b &+ 1, ordering: .releasing)
  }

  /// Owner: takes the newest entry.
  func pop() -> QueueEntry? {
    let b = bottom.load(ordering: .relaxed) &- 1
    // Nobody but the owner makes the deque longer: empty now is empty.
    if top.load(ordering: .relaxed) > b { return nil }
    bottom.store(b, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let t = top.load(ordering: .relaxed)
    if t > b {
      bottom.store(b &+ 1, ordering: .relaxed)
      return nil
    }
    let bits = buffer[1 &+ (b & mask.load(ordering: .relaxed))].load(ordering: .relaxed)
    if t == b {
      let won = top.compareExchange(
        expected: t, desired: t &+ 1, successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed
      ).exchanged
      bottom.store(b &+ 1, ordering: .relaxed)
      return won ? QueueEntry(bits: bits) : nil
    }
    return QueueEntry(bits: bits)
  }

  /// Owner: takes the newest entry if it is this one.
  func pop(_ entry: QueueEntry) -> Bool {
    let b = bottom.load(ordering: .relaxed) &- 1
    if top.load(ordering: .relaxed) > b { return false }
    if buffer[1 &+ (b & mask.load(ordering: .relaxed))].load(ordering: .relaxed) != entry.bits { return false }
    return pop() != nil
  }

  /// Any thread: takes the oldest entry, if it is wanted.
  @inline(__always)
  func steal(where isWanted: (QueueEntry) -> Bool = { _ in true }) -> QueueEntry? {
    while true {
      let t = top.load(ordering: .acquiring)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      let b = bottom.load(ordering: .acquiring)
      if t >= b { return nil }
      let buffer = buffer
      let mask = Int(bitPattern: buffer[0].load(ordering: .relaxed))
      let bits = buffer[1 &+ (t & mask)].load(ordering: .relaxed)
      // Whoever has taken it meanwhile may have reused the place: a "no" may be wrong then, as any other moment's could be.
      if !isWanted(QueueEntry(bits: bits)) { return nil }
      if top.compareExchange(
        expected: t, desired: t &+ 1, successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed
      ).exchanged {
        return QueueEntry(bits: bits)
      }
    }
  }

  private func grow(from t: Int, to b: Int, mask: Int) {
    let old = buffer
    let raw = Self.makeBuffer((mask + 1) * 2)
    let new = raw.assumingMemoryBound(to: Atomic<UInt>.self)
    let newMask = mask * 2 + 1
    for index in t..<b {
      new[1 &+ (index & newMask)].store(old[1 &+ (index & mask)].load(ordering: .relaxed), ordering: .relaxed)
    }
    outgrown.append((UnsafeMutableRawPointer(old), mask + 1))
    current.store(raw, ordering: .releasing)
    self.mask.store(newMask, ordering: .relaxed)
  }
}
