/// Where the elements of an unkeyed container are.
struct UnkeyedExtent {
  let start: Int
  let end: Int
  let count: Int

  /// Nil if the value at `offset` is no container of single elements.
  init?(_ reader: WireReader, at offset: Int) throws(WireFault) {
    switch try reader.tag(at: offset) {
    case Tag.unkeyed8:
      start = offset + 3
      end = start + Int(try reader.load(checked: UInt8.self, at: offset + 1))
      count = Int(try reader.load(checked: UInt8.self, at: offset + 2))
    case Tag.unkeyed32:
      start = offset + 9
      end = start + Int(try reader.load(checked: UInt32.self, at: offset + 1))
      count = Int(try reader.load(checked: UInt32.self, at: offset + 5))
    default: return nil
    }
    // Every element takes a byte at least, so callers may reserve memory for `count` of them.
    guard end <= reader.end, count <= end - start else { throw .badLength }
  }
}

/// The unkeyed container of the decoder.
///
/// A value, with a cursor of its own in every copy, because code looks ahead by copying a container.
struct UnkeyedReader: UnkeyedDecodingContainer {
  private let wire: DecodingContext
  private let handle: NodeHandle
  private var cursor: Int
  private let end: Int
  private let total: Int
  private(set) var currentIndex = 0
  private var run: RunCursor?

  /// The rest of a run or splice.
  private struct RunCursor {
    let element: RawElement
    /// Where the run lies: a segment, or the message itself.
    let segment: Int?
    var offset: Int
    var left: Int
  }

  init(wire: DecodingContext, node: NodeHandle, offset: Int) throws(WireFault) {
    self.wire = wire
    handle = node
    let reader = wire.state.pointee.reader
    if let extent = try UnkeyedExtent(reader, at: offset) {
      cursor = extent.start
      end = extent.end
      total = extent.count
      return
    }
    let header: RunHeader
    var segment: Int?
    switch try reader.tag(at: offset) {
    case Tag.run: header = try reader.run(at: offset)
    case Tag.segment:
      _ = try wire.state.pointee.useSegment(at: offset)
      (header, segment) = try reader.segment(at: offset)
    case let tag: throw .mismatch(tag)
    }
    cursor = header.start
    end = header.start
    total = header.count
    if header.count > 0 {
      run = RunCursor(
        element: header.element, segment: segment, offset: segment == nil ? header.start : 0, left: header.count)
    }
  }

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(handle) }
  var count: Int? { total }
  var isAtEnd: Bool { currentIndex >= total }

  @inline(never)
  private func failure(_ type: Any.Type, _ fault: WireFault) -> DecodingError {
    wire.error(type, fault, codingPath + [WireKey(index: currentIndex)])
  }

  // MARK: - Moving

  /// Makes sure that there is another element and returns its tag, or nil if it is in a run.
  @inline(__always)
  private mutating func nextTag() throws(WireFault) -> UInt8? {
    guard wire.state.pointee.isCurrent(handle) else { throw .finished }
    guard currentIndex < total else { throw .atEnd }
    if run != nil { return nil }
    guard cursor < end else { throw .badLength }
    let tag = try wire.state.pointee.reader.tag(at: cursor)
    return tag == Tag.splice ? try enterSplice() : tag
  }

  @inline(never)
  private mutating func enterSplice() throws(WireFault) -> UInt8? {
    while true {
      guard cursor < end else { throw .badLength }
      let reader = wire.state.pointee.reader
      let tag = try reader.tag(at: cursor)
      guard tag == Tag.splice else { return tag }
      let header = try reader.run(at: cursor)
      cursor = header.start + header.byteCount
      guard cursor <= end else { throw .truncated }
      if header.count > 0 {
        run = RunCursor(element: header.element, segment: nil, offset: header.start, left: header.count)
        return nil
      }
    }
  }

  /// The address of the run's next element.
  @inline(__always)
  private func runAddress(_ run: RunCursor) throws(WireFault) -> UnsafeRawPointer {
    let memory = try run.segment.map { index throws(WireFault) in try wire.state.pointee.segmentBytes(index) }
    if let memory {
      guard run.offset + run.element.stride <= memory.count else { throw .finished }
      return memory.baseAddress! + run.offset
    }
    let reader = wire.state.pointee.reader
    guard run.offset + run.element.stride <= reader.end else { throw .finished }
    return UnsafeRawPointer(reader.base) + run.offset
  }

  @inline(__always)
  private mutating func advanceRun() {
    currentIndex += 1
    run!.offset += run!.element.stride
    run!.left -= 1
    if run!.left == 0 { run = nil }
  }

  // MARK: - Values

  mutating func decodeNil() throws -> Bool {
    do throws(WireFault) {
      guard let tag = try nextTag(), tag == Tag.null else { return false }
      cursor += 1
      currentIndex += 1
      return true
    } catch {
      throw failure(Never?.self, error)
    }
  }

  @inline(__always)
  private mutating func scalar<T: WireScalar>(_ type: T.Type) throws -> T {
    do throws(WireFault) {
      guard try nextTag() != nil else {
        let value = try T.read(element: run!.element.code, at: runAddress(run!))
        advanceRun()
        return value
      }
      var next = cursor
      let value = try T.read(wire.state.pointee.reader, at: &next)
      guard next <= end else { throw .truncated }
      cursor = next
      currentIndex += 1
      return value
    } catch {
      throw failure(type, error)
    }
  }

  mutating func decode(_ type: Bool.Type) throws -> Bool { try scalar(type) }
  mutating func decode(_ type: String.Type) throws -> String { try scalar(type) }
  mutating func decode(_ type: Double.Type) throws -> Double { try scalar(type) }
  mutating func decode(_ type: Float.Type) throws -> Float { try scalar(type) }
  mutating func decode(_ type: Int.Type) throws -> Int { try scalar(type) }
  mutating func decode(_ type: Int8.Type) throws -> Int8 { try scalar(type) }
  mutating func decode(_ type: Int16.Type) throws -> Int16 { try scalar(type) }
  mutating func decode(_ type: Int32.Type) throws -> Int32 { try scalar(type) }
  mutating func decode(_ type: Int64.Type) throws -> Int64 { try scalar(type) }
  mutating func decode(_ type: Int128.Type) throws -> Int128 { try scalar(type) }
  mutating func decode(_ type: UInt.Type) throws -> UInt { try scalar(type) }
  mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try scalar(type) }
  mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try scalar(type) }
  mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try scalar(type) }
  mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try scalar(type) }
  mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try scalar(type) }

  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
    do {
      guard try nextTag() != nil else { return try runElement(type) }
      let next = try wire.state.pointee.reader.valueEnd(at: cursor, limit: end)
      let value = try wire.decodeChild(type, at: cursor, .element(currentIndex), in: handle)
      cursor = next
      currentIndex += 1
      return value
    } catch let fault as WireFault {
      throw failure(type, fault)
    }
  }

  /// An element of a run as a value of any type: the very element type, or one that decodes itself from a scalar.
  private mutating func runElement<T: Decodable>(_ type: T.Type) throws -> T {
    let address = try runAddress(run!)
    let code = run!.element.code
    let value: T
    if code.scalarStride == 0 {
      guard RawElement(type) == run!.element else { throw WireFault.mismatch(code.tag) }
      value = wire.copyElement(type, address)
    } else {
      let node = try wire.state.pointee.push(.element(currentIndex), in: handle)
      defer { wire.state.pointee.pop(node) }
      let decoder = RunElementDecoder(
        wire: wire, node: node, element: run!.element, bytes: address.loadUnaligned16(run!.element.stride))
      value = try decoder.decode(type)
    }
    advanceRun()
    return value
  }

  // MARK: - Containers

  private mutating func decoder(_ type: Any.Type) throws -> ValueDecoder {
    do throws(WireFault) {
      guard try nextTag() != nil else { throw .mismatch(run!.element.code.tag) }
      let node = try wire.state.pointee.push(.element(currentIndex), in: handle)
      return ValueDecoder(wire: wire, node: node, offset: cursor)
    } catch {
      throw failure(type, error)
    }
  }

  /// Moves behind the element that `decoder(_:)` described, once it proved to be what was asked for.
  private mutating func advance() throws {
    do throws(WireFault) {
      cursor = try wire.state.pointee.reader.valueEnd(at: cursor, limit: end)
      currentIndex += 1
    } catch {
      throw failure((any Decoder).self, error)
    }
  }

  mutating func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type
  ) throws -> KeyedDecodingContainer<NestedKey> {
    let container = try decoder([String: Any].self).container(keyedBy: type)
    try advance()
    return container
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    let container = try decoder([Any].self).unkeyedContainer()
    try advance()
    return container
  }

  mutating func superDecoder() throws -> any Decoder {
    let decoder = try decoder((any Decoder).self)
    try advance()
    return decoder
  }
}
