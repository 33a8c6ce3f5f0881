/// Encodes values into the messages that go to worker processes and come back.
///
/// One encoder serves one message at a time, on one thread at a time; using it again is cheaper than making another.
/// See `WireFormat` for the bytes.
final class WireEncoder {
  private let context: EncodingContext

  /// Makes an encoder.
  ///
  /// Arrays of raw elements with at least `segmentThreshold` bytes are not copied into the message: they become its
  /// segments. By default there are none.
  init(limits: WireLimits = .standard, segmentThreshold: Int = .max) {
    context = EncodingContext(state: EncoderState.take())
    context.state.pointee.limits = limits
    context.state.pointee.segmentThreshold = segmentThreshold
  }

  deinit {
    EncoderState.giveBack(context.state)
  }

  /// What a message carries beside its bytes.
  struct Extras {
    var segments: [EncodedMessage.Segment] = []
    var attachments: [EncodedMessage.Attachment] = []

    var isEmpty: Bool { segments.isEmpty && attachments.isEmpty }
  }

  /// Encodes a value into a message of its own; throws `EncodingError` or what the value's `encode(to:)` throws.
  func encode<T: Encodable>(_ value: T) throws -> EncodedMessage {
    var buffer = ByteBuffer()
    let extras = try encode(value, appendingTo: &buffer)
    return EncodedMessage(buffer, segments: extras.segments, attachments: extras.attachments)
  }

  /// Encodes a value behind what `buffer` holds already, for example behind a frame's header.
  ///
  /// After an error the buffer is as it was.
  func encode<T: Encodable>(_ value: T, appendingTo buffer: inout ByteBuffer) throws -> Extras {
    let state = context.state
    // A value's `encode(to:)` may itself submit work to a pool, on this thread and with this encoder.
    guard !state.pointee.isBusy else {
      let other = WireEncoder(limits: state.pointee.limits, segmentThreshold: state.pointee.segmentThreshold)
      return try other.encode(value, appendingTo: &buffer)
    }
    state.pointee.isBusy = true
    swap(&buffer, &state.pointee.out)
    defer {
      swap(&buffer, &state.pointee.out)
      state.pointee.isBusy = false
    }
    let traits = TypeTraits.of(T.self)
    if traits.pointee.kind.isPlain {
      try context.encodePlain(value, traits)
      return Extras()
    }
    return try context.encodeMessage(value)
  }
}

/// What the containers of a message write to; nothing but the address of the state.
///
/// Containers are copied for every field that is written or read. Holding an object, each copy would cost an atomic
/// increment and a decrement, a sixth of all time. A state is therefore never freed but used again (see `take()`), and
/// containers that outlive their message are told by their serial.
///
/// Rule: a mutating method of the state never calls a value's own code.
struct EncodingContext {
  let state: UnsafeMutablePointer<EncoderState>

  /// A message that is one scalar or string: no header, no frames, nothing to reset.
  fileprivate func encodePlain<T: Encodable>(_ value: T, _ traits: UnsafePointer<TypeTraits>) throws {
    state.pointee.beginPlainMessage()
    do throws(EncodingFault) {
      _ = try encodeDirectly(value, traits)
    } catch {
      state.pointee.abandonMessage()
      throw self.error(for: value, .none, error)
    }
  }

  fileprivate func encodeMessage<T: Encodable>(_ value: T) throws -> WireEncoder.Extras {
    do {
      return try attempt(value, deferring: false)
    } catch {
      guard case .interleaved? = state.pointee.fault else {
        state.pointee.abandonMessage()
        throw error
      }
    }
    state.pointee.abandonMessage()
    do {
      return try attempt(value, deferring: true)
    } catch {
      state.pointee.abandonMessage()
      throw error
    }
  }

  private func attempt<T: Encodable>(_ value: T, deferring: Bool) throws -> WireEncoder.Extras {
    state.pointee.beginMessage(deferring: deferring)
    var root = FrameHandle.none
    do {
      root = try state.pointee.push(.root)
      try encodeSingle(value, root)
      try state.pointee.finishMessage()
    } catch let fault as EncodingFault {
      throw error(for: value, root, fault)
    }
    return state.pointee.takeExtras()
  }

  // MARK: - Values

  /// Writes a value in its short form, if its type has one.
  @inline(__always)
  func encodeDirectly<T>(
    _ value: T, _ traits: UnsafePointer<TypeTraits>
  ) throws(EncodingFault) -> Bool {
    switch traits.pointee.kind {
    case .ordinary, .data, .list, .optional: return false
    case .int: WireWriter.write(unsafeBitCast(value, to: Int.self), to: &state.pointee.out)
    case .double: WireWriter.write(unsafeBitCast(value, to: Double.self), to: &state.pointee.out)
    case .string:
      let limit = state.pointee.remainingByteCount
      try WireWriter.write(unsafeBitCast(value, to: String.self), to: &state.pointee.out, limit: limit)
    default: return try encodeRareDirectly(value, traits)
    }
    return true
  }

  @inline(never)
  private func encodeRareDirectly<T>(
    _ value: T, _ traits: UnsafePointer<TypeTraits>
  ) throws(EncodingFault) -> Bool {
    switch traits.pointee.kind {
    case .bool: WireWriter.write(unsafeBitCast(value, to: Bool.self), to: &state.pointee.out)
    case .int8: WireWriter.write(unsafeBitCast(value, to: Int8.self), to: &state.pointee.out)
    case .int16: WireWriter.write(unsafeBitCast(value, to: Int16.self), to: &state.pointee.out)
    case .int32: WireWriter.write(unsafeBitCast(value, to: Int32.self), to: &state.pointee.out)
    case .int64: WireWriter.write(unsafeBitCast(value, to: Int64.self), to: &state.pointee.out)
    case .int128: WireWriter.write(unsafeBitCast(value, to: Int128.self), to: &state.pointee.out)
    case .uint: WireWriter.write(unsafeBitCast(value, to: UInt.self), to: &state.pointee.out)
    case .uint8: WireWriter.write(unsafeBitCast(value, to: UInt8.self), to: &state.pointee.out)
    case .uint16: WireWriter.write(unsafeBitCast(value, to: UInt16.self), to: &state.pointee.out)
    case .uint32: WireWriter.write(unsafeBitCast(value, to: UInt32.self), to: &state.pointee.out)
    case .uint64: WireWriter.write(unsafeBitCast(value, to: UInt64.self), to: &state.pointee.out)
    case .uint128: WireWriter.write(unsafeBitCast(value, to: UInt128.self), to: &state.pointee.out)
    case .float: WireWriter.write(unsafeBitCast(value, to: Float.self), to: &state.pointee.out)
    case .array: try encodeArray(value, traits)
    case .vector:
      let limit = state.pointee.remainingByteCount
      let element = traits.pointee.element
      try withUnsafeBytes(of: value) { (bytes) throws(EncodingFault) in
        let whole = UnsafeRawBufferPointer(start: bytes.baseAddress, count: element.stride)
        try WireWriter.write(run: whole, of: element, tag: Tag.run, to: &state.pointee.out, limit: limit)
      }
    case .ordinary, .data, .list, .optional, .int, .double, .string: return false
    }
    return true
  }

  private func encodeArray<T>(_ value: T, _ traits: UnsafePointer<TypeTraits>) throws(EncodingFault) {
    func write<A: ContiguousElements>(_ type: A.Type) throws(EncodingFault) {
      let result: Result<Void, EncodingFault> = withUnsafePointer(to: value) { pointer in
        UnsafeRawPointer(pointer).assumingMemoryBound(to: A.self).pointee.withElementBytes { bytes in
          Result { () throws(EncodingFault) in try write(bytes) }
        }
      }
      try result.get()
    }
    func write(_ bytes: UnsafeRawBufferPointer) throws(EncodingFault) {
      let element = traits.pointee.element
      if bytes.count >= state.pointee.segmentThreshold {
        WireWriter.write(
          segment: state.pointee.segments.count, byteCount: bytes.count, of: element, to: &state.pointee.out)
        state.pointee.segments.append(EncodedMessage.Segment(bytes: bytes, element: element.code, owner: value))
      } else {
        let limit = state.pointee.remainingByteCount
        try WireWriter.write(run: bytes, of: element, tag: Tag.run, to: &state.pointee.out, limit: limit)
      }
    }
    try write(traits.pointee.arrayType!)
  }

  /// Writes a value behind the key or in the place that was just written.
  func encodeChild<T: Encodable>(_ value: T, _ step: PathStep) throws {
    let traits = TypeTraits.of(T.self)
    if try encodeDirectly(value, traits) { return }
    if let optional = traits.pointee.encodableOptional { return try encodeOptional(value, optional, step) }
    let frame = try state.pointee.push(step)
    try callEncode(value, traits, frame)
    try state.pointee.pop(frame)
  }

  /// Writes a value as the whole of `frame`.
  func encodeSingle<T: Encodable>(_ value: T, _ frame: FrameHandle) throws {
    let traits = TypeTraits.of(T.self)
    switch traits.pointee.kind {
    case .ordinary, .data, .list, .optional:
      try state.pointee.requireEmpty(frame)
      try callEncode(value, traits, frame)
    default:
      try state.pointee.beginValue(frame)
      _ = try encodeDirectly(value, traits)
    }
  }

  private func encodeOptional<T: Encodable>(
    _ value: T, _ optional: any EncodableOptional.Type, _ step: PathStep
  ) throws {
    func encode<O: EncodableOptional>(_ type: O.Type) throws {
      try withUnsafePointer(to: value) { pointer in
        try UnsafeRawPointer(pointer).assumingMemoryBound(to: O.self).pointee.encode(in: self, step)
      }
    }
    try encode(optional)
  }

  private func callEncode<T: Encodable>(
    _ value: T, _ traits: UnsafePointer<TypeTraits>, _ frame: FrameHandle
  ) throws {
    if state.pointee.nesting >= state.pointee.limits.maximumDepth { throw EncodingFault.tooDeep }
    if state.pointee.stack.isExhausted { throw EncodingFault.tooMuchStack }
    state.pointee.nesting += 1
    defer { state.pointee.nesting -= 1 }
    if let list = traits.pointee.encodableList {
      try encodeList(value, list, frame)
    } else {
      try value.encode(to: ValueEncoder(wire: self, frame: frame))
    }
  }

  private func encodeList<T: Encodable>(
    _ value: T, _ type: any EncodableList.Type, _ frame: FrameHandle
  ) throws {
    func encode<L: EncodableList>(_ type: L.Type) throws {
      try withUnsafePointer(to: value) { pointer in
        try UnsafeRawPointer(pointer).assumingMemoryBound(to: L.self).pointee.encode(in: self, frame)
      }
    }
    try encode(type)
  }

  // MARK: - Errors

  /// A fault as the standard library's error, with the coding path of the container that was written to.
  func error(for value: Any, _ frame: FrameHandle, _ fault: EncodingFault) -> EncodingError {
    let description =
      switch fault {
      case .tooDeep:
        "The value is nested more than \(state.pointee.limits.maximumDepth) levels deep; does it contain itself?"
      case .tooMuchStack:
        "The value is nested so deep that the stack would overflow; does it contain itself?"
      case .tooLarge:
        "The message would be larger than the limit of \(state.pointee.limits.maximumMessageByteCount) bytes."
      case .secondValue:
        "A second value was encoded where there is room for one; use an unkeyed or keyed container."
      case .mixedContainers:
        "A value asked its encoder for two different kinds of container."
      case .interleaved:
        "Containers were written to in turn."
      case .finished:
        "A container was written to after the value that it belongs to was finished."
      }
    let context = EncodingError.Context(codingPath: state.pointee.codingPath(frame), debugDescription: description)
    return EncodingError.invalidValue(value, context)
  }
}

/// What a value's `encode(to:)` is given.
struct ValueEncoder: Encoder {
  let wire: EncodingContext
  let frame: FrameHandle

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(frame) }

  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    wire.state.pointee.open(.keyed, frame)
    return KeyedEncodingContainer(KeyedWriter<Key>(wire: wire, frame: frame))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    wire.state.pointee.open(.unkeyed, frame)
    return UnkeyedWriter(wire: wire, frame: frame)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    SingleValueWriter(wire: wire, frame: frame)
  }
}
