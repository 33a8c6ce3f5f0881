/// The unkeyed container of the encoder.
struct UnkeyedWriter: UnkeyedEncodingContainer {
  let wire: EncodingContext
  let frame: FrameHandle

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(frame) }
  var count: Int { wire.state.pointee.elementCount(frame) }

  @inline(__always)
  private func element<T>(_ value: T, _ write: (inout ByteBuffer) -> Void) throws {
    do throws(EncodingFault) {
      try wire.state.pointee.beginElement(frame)
    } catch {
      throw failure(value, error)
    }
    write(&wire.state.pointee.out)
  }

  @inline(never)
  private func failure(_ value: Any, _ fault: EncodingFault) -> EncodingError {
    let index = max(0, count - 1)
    let error = wire.error(for: value, frame, fault)
    guard case .invalidValue(let value, let context) = error else { return error }
    let path = context.codingPath + [WireKey(index: index)]
    return .invalidValue(value, EncodingError.Context(codingPath: path, debugDescription: context.debugDescription))
  }

  // MARK: - Values

  func encodeNil() throws { try element(Never?.none) { WireWriter.writeNull(to: &$0) } }
  func encode(_ value: Bool) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Double) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Float) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int8) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int16) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int32) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int64) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int128) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt8) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt16) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt32) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt64) throws { try element(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt128) throws { try element(value) { WireWriter.write(value, to: &$0) } }

  func encode(_ value: String) throws {
    do throws(EncodingFault) {
      try wire.state.pointee.beginElement(frame)
      let limit = wire.state.pointee.remainingByteCount
      try WireWriter.write(value, to: &wire.state.pointee.out, limit: limit)
    } catch {
      throw failure(value, error)
    }
  }

  func encode<T: Encodable>(_ value: T) throws {
    let checkpoint: EncodingCheckpoint
    do throws(EncodingFault) {
      checkpoint = try wire.state.pointee.checkpoint(frame)
      try wire.state.pointee.beginElement(frame)
    } catch {
      throw failure(value, error)
    }
    do {
      try wire.encodeChild(value, checkpoint.nextElement)
    } catch {
      let described = (error as? EncodingFault).map { failure(value, $0) } ?? error
      wire.state.pointee.rollBack(to: checkpoint)
      throw described
    }
  }

  /// Encodes an element of an array that fails as a whole if it does.
  func encodeWithoutCheckpoint<T: Encodable>(_ value: T) throws {
    do {
      try wire.state.pointee.beginElement(frame)
      try wire.encodeChild(value, .element(wire.state.pointee.elementCount(frame) - 1))
    } catch let fault as EncodingFault {
      throw failure(value, fault)
    }
  }

  // MARK: - Sequences

  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Bool { try run(sequence, .bool) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Double { try run(sequence, .double) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Float { try run(sequence, .float) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Int { try run(sequence, .int) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Int8 { try run(sequence, .int8) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Int16 { try run(sequence, .int16) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Int32 { try run(sequence, .int32) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == Int64 { try run(sequence, .int64) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == UInt { try run(sequence, .uint) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == UInt8 { try run(sequence, .uint8) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == UInt16 { try run(sequence, .uint16) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == UInt32 { try run(sequence, .uint32) }
  func encode<S: Sequence>(contentsOf sequence: S) throws where S.Element == UInt64 { try run(sequence, .uint64) }

  /// Foundation's `Data` comes this way, with its bytes as the sequence.
  private func run<S: Sequence>(_ sequence: S, _ code: ElementCode) throws
  where S.Element: Encodable & BitwiseCopyable {
    let wasRun: Void? = try sequence.withContiguousStorageIfAvailable { elements in
      guard !elements.isEmpty else { return }
      do throws(EncodingFault) {
        try wire.state.pointee.activate(frame)
        try WireWriter.write(
          run: UnsafeRawBufferPointer(elements), of: RawElement(code: code, stride: code.scalarStride),
          tag: Tag.splice, to: &wire.state.pointee.out, limit: wire.state.pointee.remainingByteCount)
        wire.state.pointee.countElements(elements.count)
      } catch {
        throw failure(sequence, error)
      }
    }
    if wasRun != nil { return }
    for element in sequence { try encode(element) }
  }

  // MARK: - Containers

  private func child() -> FrameHandle {
    do throws(EncodingFault) {
      try wire.state.pointee.beginElement(frame)
      return try wire.state.pointee.push(.element(count - 1))
    } catch {
      _ = wire.state.pointee.fail(error)
      return .none
    }
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type
  ) -> KeyedEncodingContainer<NestedKey> {
    ValueEncoder(wire: wire, frame: child()).container(keyedBy: keyType)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    ValueEncoder(wire: wire, frame: child()).unkeyedContainer()
  }

  func superEncoder() -> any Encoder {
    ValueEncoder(wire: wire, frame: child())
  }
}
