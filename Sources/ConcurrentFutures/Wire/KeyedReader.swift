/// The keyed container of the decoder.
///
/// Fields are usually read in the order in which they were written. A cursor remembers where the last one ended, and
/// the next is found by comparing one number. Only when that fails is the container looked through.
struct KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
  private let wire: DecodingContext
  private let handle: NodeHandle
  private let start: Int
  private let end: Int
  /// Owned by the state, which is never freed.
  private let indices: UnsafeMutablePointer<UInt16>?

  init(wire: DecodingContext, node: NodeHandle, offset: Int) throws(WireFault) {
    self.wire = wire
    handle = node
    let reader = wire.state.pointee.reader
    switch try reader.tag(at: offset) {
    case Tag.keyed8:
      start = offset + 2
      end = start + Int(try reader.load(checked: UInt8.self, at: offset + 1))
    case Tag.keyed32:
      start = offset + 5
      end = start + Int(try reader.load(checked: UInt32.self, at: offset + 1))
    case let tag: throw .mismatch(tag)
    }
    guard end <= reader.end else { throw .truncated }
    indices = wire.state.pointee.keyCache.table(for: Key.self)
  }

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(handle) }

  var allKeys: [Key] {
    var keys: [Key] = []
    var offset = start
    let reader = wire.state.pointee.reader
    guard wire.state.pointee.isCurrent(handle) else { return [] }
    // Damaged entries end the list; reading a value will say what is wrong.
    while offset < end, let index = try? reader.varint(at: &offset), let key = try? wire.state.pointee.keys.key(index),
      let next = try? reader.valueEnd(at: offset, limit: end)
    {
      if let named = Key(stringValue: key.stringValue) {
        keys.append(named)
      } else if let integer = key.intValue, let numbered = Key(intValue: integer) {
        keys.append(numbered)
      }
      offset = next
    }
    return keys
  }

  // MARK: - Looking up

  /// Where the value for `key` begins, or -1.
  @inline(__always)
  private func find(_ key: Key) throws(WireFault) -> Int {
    guard wire.state.pointee.isCurrent(handle) else { throw .finished }
    var offset = start
    if let node = wire.state.pointee.node(handle), node.pointee.cursor != 0 { offset = node.pointee.cursor }
    var guess = -1
    if offset < end { guess = try wire.state.pointee.reader.varint(at: &offset) }
    let index = try index(of: key, guess)
    if index == guess { return index < 0 ? -1 : offset }
    return index < 0 ? -1 : try search(index)
  }

  /// The key's index in the message, or -1.
  @inline(__always)
  private func index(of key: Key, _ guess: Int) throws(WireFault) -> Int {
    if let indices, let bits = KeyIndexCache.bits(of: key) {
      let known = indices[bits]
      if known != KeyIndexCache.unknown { return known == KeyIndexCache.absent ? -1 : Int(known) - 1 }
    }
    return try newIndex(of: key, guess)
  }

  @inline(never)
  private func newIndex(of key: Key, _ guess: Int) throws(WireFault) -> Int {
    let index = try wire.state.pointee.keys.index(of: key.stringValue, guess: max(guess, 0))
    if let indices, let bits = KeyIndexCache.bits(of: key), (index ?? 0) < Int(UInt16.max) - 1 {
      indices[bits] = index.map { UInt16($0 + 1) } ?? KeyIndexCache.absent
    }
    return index ?? -1
  }

  @inline(never)
  private func search(_ index: Int) throws(WireFault) -> Int {
    guard let node = wire.state.pointee.node(handle) else { return try search(index, in: start..<end) ?? -1 }
    if !node.pointee.isScanned { try scan(node) }
    if index < 64, node.pointee.keys & (1 << UInt64(index)) == 0 { return -1 }
    if node.pointee.isIndexed { return wire.state.pointee.indices[handle.serial]?[index] ?? -1 }
    let cursor = node.pointee.cursor == 0 ? start : node.pointee.cursor
    if let found = try search(index, in: cursor..<end) { return found }
    return try search(index, in: start..<cursor) ?? -1
  }

  private func search(_ index: Int, in range: Range<Int>) throws(WireFault) -> Int? {
    let reader = wire.state.pointee.reader
    var offset = range.lowerBound
    while offset < range.upperBound {
      if try reader.varint(at: &offset) == index { return offset }
      offset = try reader.valueEnd(at: offset, limit: end)
    }
    return nil
  }

  /// Looks through the whole container once: which keys there are, whether one occurs twice, whether an index pays.
  private func scan(_ node: UnsafeMutablePointer<DecodingNode>) throws(WireFault) {
    let reader = wire.state.pointee.reader
    let keyCount = wire.state.pointee.keys.count
    var found: UInt64 = 0
    var entryCount = 0
    var hasHighKeys = false
    var offset = start
    while offset < end {
      let index = try reader.varint(at: &offset)
      guard index < keyCount else { throw .unknownKey(index) }
      if index < 64 {
        let bit: UInt64 = 1 << UInt64(index)
        guard found & bit == 0 else { throw .duplicateKey(index) }
        found |= bit
      } else {
        hasHighKeys = true
      }
      entryCount += 1
      offset = try reader.valueEnd(at: offset, limit: end)
    }
    if hasHighKeys || entryCount > 16 {
      wire.state.pointee.indices[handle.serial] = try makeIndex(entryCount)
      node.pointee.isIndexed = true
    }
    node.pointee.keys = found
    node.pointee.isScanned = true
  }

  private func makeIndex(_ entryCount: Int) throws(WireFault) -> [Int: Int] {
    let reader = wire.state.pointee.reader
    var places: [Int: Int] = [:]
    places.reserveCapacity(entryCount)
    var offset = start
    while offset < end {
      let index = try reader.varint(at: &offset)
      guard places.updateValue(offset, forKey: index) == nil else { throw .duplicateKey(index) }
      offset = try reader.valueEnd(at: offset, limit: end)
    }
    return places
  }

  /// Expects the next entry to be read at `offset`.
  @inline(__always)
  private func advance(to offset: Int) throws(WireFault) {
    guard offset <= end else { throw .truncated }
    if let node = wire.state.pointee.node(handle) { node.pointee.cursor = offset }
  }

  // MARK: - Errors

  @inline(never)
  private func failure(_ type: Any.Type, _ key: any CodingKey, _ fault: WireFault) -> DecodingError {
    wire.error(type, fault, codingPath + [key])
  }

  @inline(never)
  private func notFound(_ key: any CodingKey) -> DecodingError {
    let description = "There is no value for the key \"\(key.stringValue)\"."
    return .keyNotFound(key, DecodingError.Context(codingPath: codingPath, debugDescription: description))
  }

  // MARK: - Values

  func contains(_ key: Key) -> Bool { ((try? find(key)) ?? -1) >= 0 }

  func decodeNil(forKey key: Key) throws -> Bool {
    do throws(WireFault) {
      let offset = try find(key)
      if offset >= 0 {
        guard try wire.state.pointee.reader.tag(at: offset) == Tag.null else { return false }
        try advance(to: offset + 1)
        return true
      }
    } catch {
      throw failure(Never?.self, key, error)
    }
    throw notFound(key)
  }

  @inline(__always)
  private func scalarIfFound<T: WireScalar>(_ type: T.Type, _ key: Key, acceptsNil: Bool) throws -> T?? {
    do throws(WireFault) {
      let reader = wire.state.pointee.reader
      var offset = try find(key)
      if offset < 0 { return nil }
      if acceptsNil, try reader.tag(at: offset) == Tag.null {
        try advance(to: offset + 1)
        return .some(nil)
      }
      let value = try T.read(reader, at: &offset)
      try advance(to: offset)
      return value
    } catch {
      throw failure(type, key, error)
    }
  }

  @inline(__always)
  private func scalar<T: WireScalar>(_ type: T.Type, _ key: Key) throws -> T {
    if let found = try scalarIfFound(type, key, acceptsNil: false), let value = found { return value }
    throw notFound(key)
  }

  @inline(__always)
  private func optional<T: WireScalar>(_ type: T.Type, _ key: Key) throws -> T? {
    try scalarIfFound(type, key, acceptsNil: true) ?? nil
  }

  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try scalar(type, key) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try scalar(type, key) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try scalar(type, key) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try scalar(type, key) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try scalar(type, key) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try scalar(type, key) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try scalar(type, key) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try scalar(type, key) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try scalar(type, key) }
  func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try scalar(type, key) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try scalar(type, key) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try scalar(type, key) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try scalar(type, key) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try scalar(type, key) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try scalar(type, key) }
  func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try scalar(type, key) }

  // The defaults of the protocol look a key up three times.
  func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(type, key) }
  func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(type, key) }
  func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(type, key) }
  func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try optional(type, key) }
  func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(type, key) }
  func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try optional(type, key) }
  func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try optional(type, key) }
  func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(type, key) }
  func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(type, key) }
  func decodeIfPresent(_ type: Int128.Type, forKey key: Key) throws -> Int128? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(type, key) }
  func decodeIfPresent(_ type: UInt128.Type, forKey key: Key) throws -> UInt128? { try optional(type, key) }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    do {
      let offset = try find(key)
      if offset >= 0 { return try child(type, key, offset) }
    } catch let fault as WireFault {
      throw failure(type, key, fault)
    }
    throw notFound(key)
  }

  func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
    do {
      let offset = try find(key)
      if offset < 0 { return nil }
      if try wire.state.pointee.reader.tag(at: offset) == Tag.null {
        try advance(to: offset + 1)
        return nil
      }
      return try child(type, key, offset)
    } catch let fault as WireFault {
      throw failure(type, key, fault)
    }
  }

  private func child<T: Decodable>(_ type: T.Type, _ key: Key, _ offset: Int) throws -> T {
    try advance(to: wire.state.pointee.reader.valueEnd(at: offset, limit: end))
    return try wire.decodeChild(type, at: offset, .key(index(of: key, -1)), in: handle)
  }

  // MARK: - Containers

  /// The decoder of the value at `offset`.
  private func decoder(at offset: Int, _ index: Int) throws(WireFault) -> ValueDecoder {
    try advance(to: wire.state.pointee.reader.valueEnd(at: offset, limit: end))
    let node = try wire.state.pointee.push(.key(index), in: handle)
    return ValueDecoder(wire: wire, node: node, offset: offset)
  }

  private func decoder(_ key: Key, _ type: Any.Type) throws -> ValueDecoder {
    do throws(WireFault) {
      let offset = try find(key)
      if offset >= 0 { return try decoder(at: offset, index(of: key, -1)) }
    } catch {
      throw failure(type, key, error)
    }
    throw notFound(key)
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<NestedKey> {
    try decoder(key, [String: Any].self).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try decoder(key, [Any].self).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder {
    let key = WireKey.parent
    do throws(WireFault) {
      if let index = try wire.state.pointee.keys.index(of: key.stringValue, guess: 0) {
        let offset = try search(index)
        if offset >= 0 { return try decoder(at: offset, index) }
      }
    } catch {
      throw failure((any Decoder).self, key, error)
    }
    throw notFound(key)
  }

  func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key, (any Decoder).self) }
}
