/// Encodes values into the messages that go to worker processes and come back.
///
/// One encoder serves one message at a time, on one thread at a time; using it again is cheaper than making another.
/// See `WireFormat` for the bytes.
final class WireEncoder {
  /// The state is reached through a pointer, so that no access to it is checked at run time.
  ///
  /// Rule: a mutating method of the state never calls a value's own code.
  let state: UnsafeMutablePointer<EncoderState>
  private let segmentThreshold: Int
  private var isBusy = false

  /// Makes an encoder.
  ///
  /// Arrays of raw elements with at least `segmentThreshold` bytes are not copied into the message: they become its
  /// segments. By default there are none.
  init(limits: WireLimits = .standard, segmentThreshold: Int = .max) {
    self.segmentThreshold = segmentThreshold
    state = .allocate(capacity: 1)
    state.initialize(to: EncoderState(limits: limits))
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
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
    // A value's `encode(to:)` may itself submit work to a pool, on this thread and with this encoder.
    guard !isBusy else {
      let other = WireEncoder(limits: state.pointee.limits, segmentThreshold: segmentThreshold)
      return try other.encode(value, appendingTo: &buffer)
    }
    isBusy = true
    swap(&buffer, &state.pointee.out)
    defer {
      swap(&buffer, &state.pointee.out)
      isBusy = false
    }
    let traits = TypeTraits.of(T.self)
    if traits.pointee.kind != .ordinary, traits.pointee.kind != .array, try encodePlain(value, traits) {
      return Extras()
    }
    return try encodeMessage(value, traits)
  }

  /// A message that is one scalar or string: no header, no frames, nothing to reset.
  private func encodePlain<T: Encodable>(_ value: T, _ traits: UnsafePointer<TypeTraits>) throws -> Bool {
    state.pointee.beginPlainMessage()
    do throws(EncodingFault) {
      if try encodeDirectly(value, traits) { return true }
    } catch {
      state.pointee.abandonMessage()
      throw self.error(for: value, .none, error)
    }
    state.pointee.abandonMessage()
    return false
  }

  private func encodeMessage<T: Encodable>(_ value: T, _ traits: UnsafePointer<TypeTraits>) throws -> Extras {
    do {
      return try attempt(value, traits, deferring: false)
    } catch {
      guard case .interleaved? = state.pointee.fault else {
        state.pointee.abandonMessage()
        throw error
      }
    }
    state.pointee.abandonMessage()
    do {
      return try attempt(value, traits, deferring: true)
    } catch {
      state.pointee.abandonMessage()
      throw error
    }
  }

  private func attempt<T: Encodable>(
    _ value: T, _ traits: UnsafePointer<TypeTraits>, deferring: Bool
  ) throws -> Extras {
    state.pointee.beginMessage(deferring: deferring)
    var root = FrameHandle.none
    do {
      root = try state.pointee.push(.root)
      try encodeSingle(value, root)
      try state.pointee.finishMessage()
    } catch let fault as EncodingFault {
      throw error(for: value, root, fault)
    }
    return Extras(segments: state.pointee.segments, attachments: state.pointee.attachments)
  }

  // MARK: - Values

  /// Writes a value in its short form, if its type has one.
  @inline(__always)
  func encodeDirectly<T>(
    _ value: T, _ traits: UnsafePointer<TypeTraits>
  ) throws(EncodingFault) -> Bool {
    switch traits.pointee.kind {
    case .ordinary, .data: return false
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
    case .ordinary, .data, .int, .double, .string: return false
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
      if bytes.count >= segmentThreshold {
        WireWriter.write(
          segment: state.pointee.segments.count, byteCount: bytes.count, of: element, to: &state.pointee.out)
        state.pointee.segments.append(EncodedMessage.Segment(bytes: bytes, owner: value))
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
    let frame = try state.pointee.push(step)
    try callEncode(value, frame)
    try state.pointee.pop(frame)
  }

  /// Writes a value as the whole of `frame`.
  func encodeSingle<T: Encodable>(_ value: T, _ frame: FrameHandle) throws {
    let traits = TypeTraits.of(T.self)
    if traits.pointee.kind != .ordinary && traits.pointee.kind != .data {
      try state.pointee.beginValue(frame)
      if try encodeDirectly(value, traits) { return }
    }
    try state.pointee.requireEmpty(frame)
    try callEncode(value, frame)
  }

  private func callEncode<T: Encodable>(_ value: T, _ frame: FrameHandle) throws {
    if state.pointee.nesting >= state.pointee.limits.maximumDepth { throw EncodingFault.tooDeep }
    if state.pointee.stack.isExhausted { throw EncodingFault.tooMuchStack }
    state.pointee.nesting += 1
    defer { state.pointee.nesting -= 1 }
    try value.encode(to: ValueEncoder(wire: self, frame: frame))
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
  let wire: WireEncoder
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
