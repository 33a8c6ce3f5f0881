/// The keyed container of the encoder.
struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
  private let wire: EncodingContext
  private let frame: FrameHandle
  /// Owned by the state, which is never freed.
  private let indices: UnsafeMutablePointer<UInt16>?

  init(wire: EncodingContext, frame: FrameHandle) {
    self.wire = wire
    self.frame = frame
    indices = wire.state.pointee.keyCache.table(for: Key.self)
  }

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(frame) }

  // MARK: - Keys

  @inline(__always)
  private func index(of key: Key) -> Int {
    if let indices, let bits = KeyIndexCache.bits(of: key) {
      let known = indices[bits]
      if known != KeyIndexCache.unknown { return Int(known) - 1 }
    }
    return newIndex(of: key)
  }

  @inline(never)
  private func newIndex(of key: Key) -> Int {
    let index = wire.state.pointee.keys.index(of: key)
    if let indices, let bits = KeyIndexCache.bits(of: key), index < Int(UInt16.max) - 1 {
      indices[bits] = UInt16(index + 1)
    }
    return index
  }

  /// Writes the key, then the value that `write` appends.
  @inline(__always)
  private func entry<T>(_ value: T, _ key: Key, _ write: (inout ByteBuffer) -> Void) throws {
    do throws(EncodingFault) {
      try wire.state.pointee.beginEntry(frame, key: index(of: key))
    } catch {
      throw failure(value, key, error)
    }
    write(&wire.state.pointee.out)
  }

  @inline(never)
  private func failure(_ value: Any, _ key: Key, _ fault: EncodingFault) -> EncodingError {
    let error = wire.error(for: value, frame, fault)
    guard case .invalidValue(let value, let context) = error else { return error }
    let path = context.codingPath + [key as any CodingKey]
    return .invalidValue(value, EncodingError.Context(codingPath: path, debugDescription: context.debugDescription))
  }

  // MARK: - Values

  func encodeNil(forKey key: Key) throws { try entry(Never?.none, key) { WireWriter.writeNull(to: &$0) } }
  func encode(_ value: Bool, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Double, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Float, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int8, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int16, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int32, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int64, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int128, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt8, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt16, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt32, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt64, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt128, forKey key: Key) throws { try entry(value, key) { WireWriter.write(value, to: &$0) } }

  func encode(_ value: String, forKey key: Key) throws {
    do throws(EncodingFault) {
      try wire.state.pointee.beginEntry(frame, key: index(of: key))
      let limit = wire.state.pointee.remainingByteCount
      try WireWriter.write(value, to: &wire.state.pointee.out, limit: limit)
    } catch {
      throw failure(value, key, error)
    }
  }

  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    let checkpoint: EncodingCheckpoint
    let keyIndex = index(of: key)
    do throws(EncodingFault) {
      checkpoint = try wire.state.pointee.checkpoint(frame)
      try wire.state.pointee.beginEntry(frame, key: keyIndex)
    } catch {
      throw failure(value, key, error)
    }
    do {
      try wire.encodeChild(value, .key(keyIndex))
    } catch {
      wire.state.pointee.rollBack(to: checkpoint)
      if let fault = error as? EncodingFault { throw failure(value, key, fault) }
      throw error
    }
  }

  // MARK: - Containers

  /// Opens the value for a key; what goes wrong is thrown by the next call that can throw.
  private func child(_ index: Int) -> ValueEncoder {
    do throws(EncodingFault) {
      try wire.state.pointee.beginEntry(frame, key: index)
      return ValueEncoder(wire: wire, frame: try wire.state.pointee.push(.key(index)))
    } catch {
      _ = wire.state.pointee.fail(error)
      return ValueEncoder(wire: wire, frame: .none)
    }
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type, forKey key: Key
  ) -> KeyedEncodingContainer<NestedKey> {
    child(index(of: key)).container(keyedBy: keyType)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    child(index(of: key)).unkeyedContainer()
  }

  func superEncoder() -> any Encoder {
    child(wire.state.pointee.keys.index(of: WireKey.parent))
  }

  func superEncoder(forKey key: Key) -> any Encoder {
    child(index(of: key))
  }
}
