/// The keys of the message that is being decoded.
struct DecodingKeyTable: ~Copyable {
  private struct Entry {
    var start: Int
    var count: Int
    var integer: Int?
  }

  private var entries: [Entry] = []
  private var reader: WireReader
  private var names: [String?] = []
  private var indices: [String: Int] = [:]
  /// How many keys can be compared one after the other before hashing all of them pays.
  private static let linearCount = 12

  init() {
    reader = WireReader(base: UnsafePointer(bitPattern: 16)!, end: 0)
  }

  var count: Int { entries.count }

  /// Reads the table that fills the bytes of `reader` from `offset` on.
  mutating func read(_ reader: WireReader, at offset: Int) throws(WireFault) {
    var offset = offset
    self.reader = reader
    let count = try reader.varint(at: &offset)
    guard count <= reader.end - offset else { throw .badLength }
    entries.reserveCapacity(count)
    for _ in 0..<count {
      let head = try reader.varint(at: &offset)
      let utf8Count = head >> 1
      guard utf8Count <= reader.end - offset else { throw .truncated }
      var entry = Entry(start: offset, count: utf8Count, integer: nil)
      offset += utf8Count
      if head & 1 == 1 {
        entry.integer = Int(exactly: try reader.load(checked: Int64.self, at: offset))
        offset += 8
      }
      entries.append(entry)
    }
    guard offset == reader.end else { throw .badLength }
  }

  mutating func reset() {
    guard !entries.isEmpty else { return }
    let keepsMemory = entries.count <= 1024
    entries.removeAll(keepingCapacity: keepsMemory)
    names.removeAll(keepingCapacity: keepsMemory)
    if !indices.isEmpty { indices.removeAll(keepingCapacity: keepsMemory) }
  }

  mutating func key(_ index: Int) throws(WireFault) -> WireKey {
    guard index < entries.count else { throw .unknownKey(index) }
    return WireKey(stringValue: try name(index), intValue: entries[index].integer)
  }

  private mutating func name(_ index: Int) throws(WireFault) -> String {
    if names.isEmpty { names = Array(repeating: nil, count: entries.count) }
    if let name = names[index] { return name }
    let name = try reader.text(at: entries[index].start, count: entries[index].count)
    names[index] = name
    return name
  }

  /// Whether the key at `index` is spelled with these very bytes.
  private func isSpelled(_ index: Int, _ utf8: UnsafeBufferPointer<UInt8>) -> Bool {
    guard entries[index].count == utf8.count else { return false }
    let start = reader.base + entries[index].start
    for place in 0..<utf8.count where start[place] != utf8[place] { return false }
    return true
  }

  /// The index of a key, or nil if the message has none of this name.
  ///
  /// `guess` is the index that comes next in the container: most readers ask in the order of writing.
  mutating func index(of name: String, guess: Int) throws(WireFault) -> Int? {
    var spelled = name
    let found: Int? = spelled.withUTF8 { utf8 in
      if guess < entries.count, isSpelled(guess, utf8) { return guess }
      guard entries.count <= DecodingKeyTable.linearCount else { return nil }
      return entries.indices.first { isSpelled($0, utf8) }
    }
    if let found { return found }
    // Keys are equal as strings are, so a key may be spelled in other code points.
    if entries.count <= DecodingKeyTable.linearCount && name.utf8.allSatisfy({ $0 < 0x80 }) { return nil }
    if indices.isEmpty {
      for index in entries.indices { indices[try self.name(index)] = index }
    }
    return indices[name]
  }
}
