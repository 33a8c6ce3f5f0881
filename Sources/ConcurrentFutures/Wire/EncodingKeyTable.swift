/// The keys of one message: each is sent once, and a small index wherever it occurs.
struct EncodingKeyTable: ~Copyable {
  /// Filled only when there are more keys than can be compared one after the other in the time of hashing one.
  private var indices: [String: Int] = [:]
  private static let linearCount = 12
  private var keys: [WireKey] = []
  /// For keys beyond the 64 that a container's bit mask covers: the container that last wrote the key.
  private var lastWriters: [Int] = []

  var count: Int { keys.count }

  subscript(index: Int) -> WireKey { keys[index] }

  mutating func reset() {
    guard !keys.isEmpty else { return }
    if !indices.isEmpty { indices.removeAll(keepingCapacity: keys.count <= 1024) }
    keys.removeAll(keepingCapacity: keys.count <= 1024)
    lastWriters.removeAll(keepingCapacity: keys.count <= 1024)
  }

  /// The index of a key, which is new or was met before.
  mutating func index(of key: some CodingKey) -> Int {
    let name = key.stringValue
    if keys.count <= EncodingKeyTable.linearCount {
      for index in keys.indices where keys[index].stringValue == name { return index }
      if keys.count == EncodingKeyTable.linearCount {
        for index in keys.indices { indices[keys[index].stringValue] = index }
      }
    } else if let index = indices[name] {
      return index
    }
    let index = keys.count
    keys.append(WireKey(stringValue: name, intValue: key.intValue))
    lastWriters.append(0)
    if index >= EncodingKeyTable.linearCount { indices[name] = index }
    return index
  }

  /// Notes that container `serial` writes a key; false if that container was the last to do so.
  mutating func note(_ index: Int, writtenBy serial: Int) -> Bool {
    if lastWriters[index] == serial { return false }
    lastWriters[index] = serial
    return true
  }

  borrowing func write(to out: inout ByteBuffer) {
    out.append(varint: keys.count)
    for key in keys {
      var name = key.stringValue
      name.withUTF8 { utf8 in
        out.append(varint: utf8.count << 1 | (key.intValue == nil ? 0 : 1))
        out.append(UnsafeRawBufferPointer(utf8))
      }
      if let integer = key.intValue { out.append(littleEndian: Int64(integer)) }
    }
  }
}
