/// For each key type in use, a small table from the key's bits to its index in the message.
///
/// The keys of synthesized conformances are enums of one byte. Reading that byte and one table entry replaces asking for
/// `stringValue` and comparing or hashing it, for every field of every value.
struct KeyIndexCache: ~Copyable {
  static let entryCount = 64
  static let unknown: UInt16 = 0
  static let absent: UInt16 = .max

  private struct Slot {
    var type: ObjectIdentifier?
    var epoch = 0
    var table: UnsafeMutablePointer<UInt16>?
  }

  private var slots: UnsafeMutablePointer<Slot>
  private var slotCount = 16
  private var usedCount = 0
  private var epoch = 1

  init() {
    slots = KeyIndexCache.makeSlots(16)
  }

  deinit {
    for index in 0..<slotCount { slots[index].table?.deallocate() }
    slots.deallocate()
  }

  private static func makeSlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
    slots.initialize(repeating: Slot(), count: count)
    return slots
  }

  /// Forgets all indices; the tables stay for the next message.
  mutating func reset() {
    epoch += 1
  }

  /// The table of a key type, or nil when its keys do not fit one byte.
  ///
  /// An entry is `unknown`, `absent` or an index plus one. The table stays valid as long as this cache.
  @inline(__always)
  mutating func table<Key: CodingKey>(for type: Key.Type) -> UnsafeMutablePointer<UInt16>? {
    guard MemoryLayout<Key>.size <= 1, _isPOD(type) else { return nil }
    return table(for: ObjectIdentifier(type))
  }

  private mutating func table(for type: ObjectIdentifier) -> UnsafeMutablePointer<UInt16> {
    var index = KeyIndexCache.hash(type) & (slotCount - 1)
    while let found = slots[index].type {
      if found == type {
        let table = slots[index].table!
        if slots[index].epoch != epoch {
          table.update(repeating: KeyIndexCache.unknown, count: KeyIndexCache.entryCount)
          slots[index].epoch = epoch
        }
        return table
      }
      index = (index + 1) & (slotCount - 1)
    }
    return insert(type)
  }

  private static func hash(_ type: ObjectIdentifier) -> Int {
    let bits = UInt(bitPattern: type)
    return Int(truncatingIfNeeded: (bits >> 4) ^ (bits >> 9))
  }

  private mutating func insert(_ type: ObjectIdentifier) -> UnsafeMutablePointer<UInt16> {
    let table = UnsafeMutablePointer<UInt16>.allocate(capacity: KeyIndexCache.entryCount)
    table.initialize(repeating: KeyIndexCache.unknown, count: KeyIndexCache.entryCount)
    usedCount += 1
    if usedCount * 2 > slotCount { enlarge() }
    place(Slot(type: type, epoch: epoch, table: table))
    return table
  }

  private mutating func enlarge() {
    let old = slots
    let oldCount = slotCount
    slotCount *= 2
    slots = KeyIndexCache.makeSlots(slotCount)
    for index in 0..<oldCount where old[index].type != nil { place(old[index]) }
    old.deallocate()
  }

  private mutating func place(_ slot: Slot) {
    var index = KeyIndexCache.hash(slot.type!) & (slotCount - 1)
    while slots[index].type != nil { index = (index + 1) & (slotCount - 1) }
    slots[index] = slot
  }

  /// The bits of a key whose type has a table, or nil when the table is too small for them.
  @inline(__always)
  static func bits<Key: CodingKey>(of key: Key) -> Int? {
    guard MemoryLayout<Key>.size == 1 else { return 0 }
    let bits = Int(unsafeBitCast(key, to: UInt8.self))
    return bits < entryCount ? bits : nil
  }
}
