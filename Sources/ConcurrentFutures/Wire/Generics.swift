/// `Array` and `Optional` of any element, coded without the containers that their own conformances ask for.
///
/// The bytes are the same. What is saved is a boxed container, three dynamic calls for every element, and, when an array
/// is read, the repeated growth of an array whose length is known.
protocol EncodableList {
  func encode(in wire: EncodingContext, _ frame: FrameHandle) throws
}

protocol DecodableList {
  static func decode(from wire: DecodingContext, at offset: Int, _ node: NodeHandle) throws -> Self
}

protocol EncodableOptional {
  func encode(in wire: EncodingContext, _ step: PathStep) throws
}

protocol DecodableOptional {
  static func decode(
    from wire: DecodingContext, at offset: Int, _ step: PathStep, in parent: NodeHandle?
  ) throws -> Self
}

extension Array: EncodableList where Element: Encodable {
  func encode(in wire: EncodingContext, _ frame: FrameHandle) throws {
    wire.state.pointee.open(.unkeyed, frame)
    let writer = UnkeyedWriter(wire: wire, frame: frame)
    for element in self { try writer.encodeWithoutCheckpoint(element) }
  }
}

extension Array: DecodableList where Element: Decodable {
  static func decode(from wire: DecodingContext, at offset: Int, _ node: NodeHandle) throws -> [Element] {
    do {
      var reader = try UnkeyedReader(wire: wire, node: node, offset: offset)
      var elements: [Element] = []
      // Every element takes a byte of the message at least; a large element type must not turn few bytes into much
      // memory before any of them was read.
      let bound = Swift.max(16, (1 << 20) / Swift.max(1, MemoryLayout<Element>.stride))
      elements.reserveCapacity(Swift.min(reader.count ?? 0, bound))
      while !reader.isAtEnd { elements.append(try reader.decode(Element.self)) }
      return elements
    } catch let fault as WireFault {
      throw wire.error([Element].self, fault, wire.state.pointee.codingPath(node))
    }
  }
}

extension Optional: EncodableOptional where Wrapped: Encodable {
  func encode(in wire: EncodingContext, _ step: PathStep) throws {
    switch self {
    case nil: WireWriter.writeNull(to: &wire.state.pointee.out)
    case let wrapped?: try wire.encodeChild(wrapped, step)
    }
  }
}

extension Optional: DecodableOptional where Wrapped: Decodable {
  static func decode(
    from wire: DecodingContext, at offset: Int, _ step: PathStep, in parent: NodeHandle?
  ) throws -> Wrapped? {
    if try wire.state.pointee.reader.tag(at: offset) == Tag.null { return nil }
    return try wire.decodeChild(Wrapped.self, at: offset, step, in: parent)
  }
}

/// States of coders that are not in use.
struct UnusedStates<State: ~Copyable>: @unchecked Sendable {
  private var states: [UnsafeMutablePointer<State>] = []

  mutating func take() -> UnsafeMutablePointer<State>? { states.popLast() }

  mutating func giveBack(_ state: UnsafeMutablePointer<State>) { states.append(state) }
}
