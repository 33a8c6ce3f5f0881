/// A first-in, first-out queue of entries in a circular buffer.
struct EntryRing: ~Copyable {
  private var buffer: UnsafeMutablePointer<UInt>
  private var mask: Int
  private var head = 0
  private(set) var count = 0

  init(capacity: Int = 64) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    buffer = .allocate(capacity: capacity)
    mask = capacity - 1
  }

  deinit { buffer.deallocate() }

  var isFull: Bool { count > mask }

  mutating func append(_ entry: QueueEntry) {
    if isFull { grow() }
    buffer[(head &+ count) & mask] = entry.bits
    count &+= 1
  }

  /// Puts an entry before all others.
  mutating func prepend(_ entry: QueueEntry) {
    if isFull { grow() }
    head = (head &- 1) & mask
    buffer[head] = entry.bits
    count &+= 1
  }

  mutating func popFirst() -> QueueEntry? {
    if count == 0 { return nil }
    let bits = buffer[head]
    head = (head &+ 1) & mask
    count &-= 1
    return QueueEntry(bits: bits)
  }

  /// Takes out the entries that are not wanted any more, keeping the order of the others. O(n).
  mutating func remove(where isUnwanted: (QueueEntry) -> Bool) -> [QueueEntry] {
    var removed: [QueueEntry] = []
    var kept = 0
    for index in 0..<count {
      let entry = QueueEntry(bits: buffer[(head &+ index) & mask])
      if isUnwanted(entry) {
        removed.append(entry)
      } else {
        buffer[(head &+ kept) & mask] = entry.bits
        kept += 1
      }
    }
    count = kept
    return removed
  }

  private mutating func grow() {
    let capacity = mask + 1
    let larger = UnsafeMutablePointer<UInt>.allocate(capacity: capacity * 2)
    for index in 0..<count { larger[index] = buffer[(head &+ index) & mask] }
    buffer.deallocate()
    buffer = larger
    mask = capacity * 2 - 1
    head = 0
  }
}

/// The priorities that a pool tells apart.
enum Lane: Int, CaseIterable {
  case high
  case medium
  case low
  case background

  init(_ priority: TaskPriority) {
    // The bounds are the values of TaskPriority.low, .medium and .high, whose getters cost more than the rest of this.
    switch priority.rawValue {
    case 0: self = .medium  // unspecified
    case ..<17: self = .background
    case ..<21: self = .low
    case ..<25: self = .medium
    default: self = .high
    }
  }
}

/// What waits for a worker: a queue for each priority, first in, first out in each.
///
/// Higher priorities go first, except that every 16th entry comes from a lower one, from each of these in turn: nothing
/// starves, however full the others are.
struct WorkQueue: ~Copyable {
  private var high = EntryRing()
  private var medium = EntryRing()
  private var low = EntryRing()
  private var background = EntryRing()
  private var takes: UInt = 0
  private(set) var count = 0

  /// Entries that go before those of medium priority.
  var urgentCount: Int { high.count }

  /// Whether appending would make the lane's buffer grow: a good moment to drop what was cancelled.
  func wouldGrow(_ lane: Lane) -> Bool {
    switch lane {
    case .high: high.isFull
    case .medium: medium.isFull
    case .low: low.isFull
    case .background: background.isFull
    }
  }

  mutating func append(_ entry: QueueEntry, _ lane: Lane) {
    count &+= 1
    switch lane {
    case .high: high.append(entry)
    case .medium: medium.append(entry)
    case .low: low.append(entry)
    case .background: background.append(entry)
    }
  }

  /// Puts back what was of medium priority, as the next of these.
  mutating func prependMedium(_ entry: QueueEntry) {
    count &+= 1
    medium.prepend(entry)
  }

  /// - Parameter mediumIsLate: the caller has earlier entries of medium priority.
  mutating func popFirst(mediumIsLate: Bool = false) -> QueueEntry? {
    if count == 0 { return nil }
    let onlyMedium = count == medium.count
    count &-= 1
    if onlyMedium { return medium.popFirst() }
    takes &+= 1
    if takes & 15 == 0, let entry = popLower(turn: (takes >> 4) % 3, mediumIsLate) { return entry }
    return high.popFirst() ?? medium.popFirst() ?? low.popFirst() ?? background.popFirst()
  }

  /// From the lane whose turn it is; if that is empty, from the lowest that is not.
  private mutating func popLower(turn: UInt, _ mediumIsLate: Bool) -> QueueEntry? {
    switch turn {
    case 2: if let entry = low.popFirst() { return entry }
    case 0 where !mediumIsLate: if let entry = medium.popFirst() { return entry }
    default: break
    }
    return background.popFirst() ?? low.popFirst() ?? (mediumIsLate ? nil : medium.popFirst())
  }

  /// One more of medium priority, for a worker that takes several at once; nil while others should go first.
  mutating func popAnotherMedium() -> QueueEntry? {
    if count != medium.count { return nil }
    guard let entry = medium.popFirst() else { return nil }
    count &-= 1
    return entry
  }

  /// Takes out what is not wanted any more. O(n).
  mutating func remove(where isUnwanted: (QueueEntry) -> Bool) -> [QueueEntry] {
    let removed =
      high.remove(where: isUnwanted) + medium.remove(where: isUnwanted) + low.remove(where: isUnwanted)
      + background.remove(where: isUnwanted)
    count -= removed.count
    return removed
  }
}
