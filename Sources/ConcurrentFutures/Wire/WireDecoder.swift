/// Decodes the messages that `WireEncoder` makes, from bytes that may be damaged or hostile.
///
/// One decoder serves one message at a time, on one thread at a time; using it again is cheaper than making another.
/// Whatever the bytes are, decoding returns a value or throws.
final class WireDecoder {
  private let context: DecodingContext

  init(limits: WireLimits = .standard) {
    context = DecodingContext(state: DecoderState.take())
    context.state.pointee.limits = limits
  }

  deinit {
    DecoderState.giveBack(context.state)
  }

  /// Decodes the value of a message.
  ///
  /// `bytes` must not change meanwhile, so they must be private memory. The segments may lie in shared memory: their
  /// contents are copied once. Descriptors that the value does not take stay in `attachments`. Throws `DecodingError`, or what
  /// the value's `init(from:)` throws.
  func decode<T: Decodable>(
    _ type: T.Type, from bytes: UnsafeRawBufferPointer, segments: [IncomingSegment] = [],
    attachments: ReceivedAttachments? = nil
  ) throws -> T {
    let state = context.state
    // A value's `init(from:)` may itself decode a message, on this thread and with this decoder.
    guard !state.pointee.isBusy else {
      let other = WireDecoder(limits: state.pointee.limits)
      return try other.decode(type, from: bytes, segments: segments, attachments: attachments)
    }
    state.pointee.isBusy = true
    defer {
      state.pointee.endMessage()
      state.pointee.isBusy = false
    }
    do throws(WireFault) {
      try state.pointee.beginMessage(bytes, segments: segments, attachments: attachments)
      let reader = state.pointee.reader
      let valueEnd = try reader.valueEnd(at: state.pointee.valueStart, limit: reader.end)
      guard valueEnd == reader.end else { throw .badLength }
    } catch {
      throw context.error(type, error, [])
    }
    do {
      return try context.decodeChild(type, at: state.pointee.valueStart, .root, in: nil)
    } catch let fault as WireFault {
      throw context.error(type, fault, [])
    }
  }
}

/// What the containers of a message read from; nothing but the address of the state, for the same reason and by the
/// same rule as `EncodingContext`.
struct DecodingContext {
  let state: UnsafeMutablePointer<DecoderState>

  // MARK: - Values

  /// Decodes the value at `offset`, whose extent was checked, as the child of another.
  func decodeChild<T: Decodable>(
    _ type: T.Type, at offset: Int, _ step: PathStep, in parent: NodeHandle?
  ) throws -> T {
    let traits = TypeTraits.of(type)
    if try isDirect(traits, at: offset) { return try decodeDirectly(type, traits, at: offset) }
    if let optional = traits.pointee.decodableOptional {
      return try decodeOptional(type, optional, at: offset, step, in: parent)
    }
    let node = try state.pointee.push(step, in: parent)
    defer { state.pointee.pop(node) }
    if let list = traits.pointee.decodableList { return try decodeList(type, list, at: offset, node) }
    return try callInit(type, ValueDecoder(wire: self, node: node, offset: offset))
  }

  private func decodeOptional<T>(
    _ type: T.Type, _ optional: any DecodableOptional.Type, at offset: Int, _ step: PathStep, in parent: NodeHandle?
  ) throws -> T {
    func decode<O: DecodableOptional>(_ optional: O.Type) throws -> T {
      unsafeBitCast(try O.decode(from: self, at: offset, step, in: parent), to: T.self)
    }
    return try decode(optional)
  }

  private func decodeList<T>(
    _ type: T.Type, _ list: any DecodableList.Type, at offset: Int, _ node: NodeHandle
  ) throws -> T {
    func decode<L: DecodableList>(_ list: L.Type) throws -> T {
      unsafeBitCast(try L.decode(from: self, at: offset, node), to: T.self)
    }
    try enter()
    defer { state.pointee.nesting -= 1 }
    return try decode(list)
  }

  /// Checks that there is room for another level of a type's own decoding, and counts it.
  private func enter() throws {
    if state.pointee.nesting >= state.pointee.limits.maximumDepth { throw WireFault.tooDeep }
    if state.pointee.stack.isExhausted { throw WireFault.tooMuchStack }
    state.pointee.nesting += 1
  }

  /// Runs a type's own decoding, if there is room for another level of it.
  func callInit<T: Decodable>(_ type: T.Type, _ decoder: some Decoder) throws -> T {
    try enter()
    defer { state.pointee.nesting -= 1 }
    return try T(from: decoder)
  }

  /// Whether the value at `offset` is in the short form of a type, or must go through its `init(from:)`.
  ///
  /// A question of its own, because an answer by an optional of generic type would look up that type's metadata.
  @inline(__always)
  func isDirect(_ traits: UnsafePointer<TypeTraits>, at offset: Int) throws(WireFault) -> Bool {
    switch traits.pointee.kind {
    case .ordinary, .list, .optional: false
    case .array, .vector, .data: try isWhole(traits, at: offset)
    default: true
    }
  }

  private func isWhole(_ traits: UnsafePointer<TypeTraits>, at offset: Int) throws(WireFault) -> Bool {
    let reader = state.pointee.reader
    let tag = try reader.tag(at: offset)
    switch traits.pointee.kind {
    case .array:
      if tag == Tag.run { return try reader.run(at: offset).element == traits.pointee.element }
      guard tag == Tag.segment else { return false }
      return try reader.segment(at: offset).header.element == traits.pointee.element
    case .vector:
      guard tag == Tag.run else { return false }
      let header = try reader.run(at: offset)
      return header.element == traits.pointee.element && header.count == 1
    default: return try dataBytes(at: offset) != nil
    }
  }

  /// Reads a value for which `isDirect(_:at:)` is true.
  @inline(__always)
  func decodeDirectly<T>(
    _ type: T.Type, _ traits: UnsafePointer<TypeTraits>, at offset: Int
  ) throws(WireFault) -> T {
    let reader = state.pointee.reader
    var next = offset
    switch traits.pointee.kind {
    case .int: return unsafeBitCast(try reader.integer(Int.self, at: &next), to: T.self)
    case .double: return unsafeBitCast(try reader.double(at: &next), to: T.self)
    case .string: return unsafeBitCast(try reader.string(at: &next), to: T.self)
    default: return try decodeRareDirectly(type, traits, at: offset)
    }
  }

  @inline(never)
  private func decodeRareDirectly<T>(
    _ type: T.Type, _ traits: UnsafePointer<TypeTraits>, at offset: Int
  ) throws(WireFault) -> T {
    let reader = state.pointee.reader
    var next = offset
    switch traits.pointee.kind {
    case .bool: return unsafeBitCast(try reader.bool(at: &next), to: T.self)
    case .int8: return unsafeBitCast(try reader.integer(Int8.self, at: &next), to: T.self)
    case .int16: return unsafeBitCast(try reader.integer(Int16.self, at: &next), to: T.self)
    case .int32: return unsafeBitCast(try reader.integer(Int32.self, at: &next), to: T.self)
    case .int64: return unsafeBitCast(try reader.integer(Int64.self, at: &next), to: T.self)
    case .int128: return unsafeBitCast(try reader.integer(Int128.self, at: &next), to: T.self)
    case .uint: return unsafeBitCast(try reader.integer(UInt.self, at: &next), to: T.self)
    case .uint8: return unsafeBitCast(try reader.integer(UInt8.self, at: &next), to: T.self)
    case .uint16: return unsafeBitCast(try reader.integer(UInt16.self, at: &next), to: T.self)
    case .uint32: return unsafeBitCast(try reader.integer(UInt32.self, at: &next), to: T.self)
    case .uint64: return unsafeBitCast(try reader.integer(UInt64.self, at: &next), to: T.self)
    case .uint128: return unsafeBitCast(try reader.integer(UInt128.self, at: &next), to: T.self)
    case .float: return unsafeBitCast(try reader.float(at: &next), to: T.self)
    case .array: return try decodeArray(type, traits, at: offset)
    case .vector: return copyElement(type, UnsafeRawPointer(reader.base) + (try reader.run(at: offset).start))
    case .data:
      guard let bytes = try dataBytes(at: offset) else { throw .badLength }
      func make<D: RangeReplaceableCollection<UInt8>>(_ data: D.Type) -> T {
        D(bytes.bindMemory(to: UInt8.self)) as! T
      }
      return make(traits.pointee.dataType!)
    case .ordinary, .list, .optional, .int, .double, .string: preconditionFailure("not a short form")
    }
  }

  private func decodeArray<T>(
    _ type: T.Type, _ traits: UnsafePointer<TypeTraits>, at offset: Int
  ) throws(WireFault) -> T {
    let reader = state.pointee.reader
    let bytes: UnsafeRawBufferPointer
    if try reader.tag(at: offset) == Tag.run {
      let header = try reader.run(at: offset)
      bytes = UnsafeRawBufferPointer(start: reader.base + header.start, count: header.byteCount)
    } else {
      let segment = try state.pointee.useSegment(at: offset)
      // Not `as? T`: to make one array of another's elements the runtime first reserves memory for all of them.
      if let array = segment.array, ObjectIdentifier(Swift.type(of: array)) == traits.pointee.type {
        return array as! T
      }
      bytes = segment.bytes
    }
    if traits.pointee.element.code == .bool {
      // A `Bool` with another bit set is undefined behaviour. The copy is checked: a segment might still change.
      let copy = [UInt8].copying(bytes)
      guard copy.allSatisfy({ $0 < 2 }) else { throw .badBool }
      return copy.withUnsafeBytes { makeArray(type, traits, $0) }
    }
    return makeArray(type, traits, bytes)
  }

  private func makeArray<T>(
    _ type: T.Type, _ traits: UnsafePointer<TypeTraits>, _ bytes: UnsafeRawBufferPointer
  ) -> T {
    func make<A: ContiguousElements>(_ array: A.Type) -> T {
      unsafeBitCast(A.copying(bytes), to: T.self)
    }
    // The common ones are specialised; a call through the protocol looks up metadata at every step.
    if traits.pointee.isPlainArray {
      switch traits.pointee.element.code {
      case .double: return make([Double].self)
      case .int: return make([Int].self)
      case .uint8: return make([UInt8].self)
      case .float: return make([Float].self)
      case .int32: return make([Int32].self)
      default: break
      }
    }
    return make(traits.pointee.arrayType!)
  }

  /// The contents of a `Data` that was written as one splice, which is how it writes itself.
  private func dataBytes(at offset: Int) throws(WireFault) -> UnsafeRawBufferPointer? {
    let reader = state.pointee.reader
    guard let container = try UnkeyedExtent(reader, at: offset), container.start < container.end,
      try reader.tag(at: container.start) == Tag.splice
    else { return nil }
    let header = try reader.run(at: container.start)
    guard header.element.code == .uint8, header.count == container.count,
      header.start + header.byteCount == container.end
    else { return nil }
    return UnsafeRawBufferPointer(start: reader.base + header.start, count: header.count)
  }

  /// Copies an element of a type that has a `RawElement` out of a run.
  func copyElement<T>(_ type: T.Type, _ address: UnsafeRawPointer) -> T {
    withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { place in
      UnsafeMutableRawPointer(place.baseAddress!).copyMemory(from: address, byteCount: MemoryLayout<T>.size)
      return place.baseAddress!.move()
    }
  }

  // MARK: - Errors

  /// A fault as the standard library's error.
  func error(_ type: Any.Type, _ fault: WireFault, _ path: @autoclosure () -> [any CodingKey]) -> DecodingError {
    let description: String
    switch fault {
    case .mismatch(Tag.null):
      return .valueNotFound(
        type, DecodingError.Context(codingPath: path(), debugDescription: "Expected \(type) but found nil."))
    case .mismatch(let tag):
      return .typeMismatch(
        type,
        DecodingError.Context(
          codingPath: path(), debugDescription: "Expected \(type) but found \(Tag.name(tag))."))
    case .atEnd:
      return .valueNotFound(
        type, DecodingError.Context(codingPath: path(), debugDescription: "The unkeyed container is at its end."))
    case .truncated: description = "The message ends within a value."
    case .badTag(let tag): description = "The message has \(Tag.name(tag)) where a value should begin."
    case .badElement: description = "The message has an array of an unknown kind of element."
    case .badLength: description = "The message states a length that does not match its bytes."
    case .badText: description = "The message has a string that is not valid UTF-8."
    case .badBool: description = "The message has a Bool that is neither true nor false."
    case .unknownKey(let index): description = "The message uses key \(index), which is not in its table."
    case .duplicateKey(let index):
      let name = (try? state.pointee.keys.key(index).stringValue) ?? "\(index)"
      description = "The message has the key \"\(name)\" twice in one container."
    case .outOfRange(let number): description = "The number \(number) does not fit \(type)."
    case .tooDeep:
      description = "The message is nested more than \(state.pointee.limits.maximumDepth) levels deep."
    case .tooMuchStack: description = "The message is nested so deep that the stack would overflow."
    case .segment(let problem): description = problem
    case .finished: description = "A container was read after its message was finished."
    }
    return .dataCorrupted(DecodingError.Context(codingPath: path(), debugDescription: description))
  }
}

/// What a value's `init(from:)` is given, and its single-value container.
struct ValueDecoder: Decoder, ScalarDecodingContainer {
  let wire: DecodingContext
  let node: NodeHandle
  // 32 bits, so that the whole fits the three words of an existential and costs no allocation.
  private let offset32: UInt32

  init(wire: DecodingContext, node: NodeHandle, offset: Int) {
    self.wire = wire
    self.node = node
    offset32 = UInt32(truncatingIfNeeded: offset)
  }

  /// Beyond every message when the one that this belongs to is finished.
  private var offset: Int { wire.state.pointee.isCurrent(node) ? Int(offset32) : .max / 2 }

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(node) }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    do throws(WireFault) {
      return KeyedDecodingContainer(try KeyedReader<Key>(wire: wire, node: node, offset: offset))
    } catch {
      throw wire.error([String: Any].self, error, codingPath)
    }
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    do throws(WireFault) {
      return try UnkeyedReader(wire: wire, node: node, offset: offset)
    } catch {
      throw wire.error([Any].self, error, codingPath)
    }
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  // MARK: - Single value

  func decodeNil() -> Bool { (try? wire.state.pointee.reader.tag(at: offset)) == Tag.null }

  @inline(__always)
  func scalar<T: WireScalar>(_ type: T.Type) throws -> T {
    do throws(WireFault) {
      var next = offset
      return try T.read(wire.state.pointee.reader, at: &next)
    } catch {
      throw wire.error(type, error, codingPath)
    }
  }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    do {
      let traits = TypeTraits.of(type)
      if try wire.isDirect(traits, at: offset) { return try wire.decodeDirectly(type, traits, at: offset) }
      return try wire.callInit(type, self)
    } catch let fault as WireFault {
      throw wire.error(type, fault, codingPath)
    }
  }
}
