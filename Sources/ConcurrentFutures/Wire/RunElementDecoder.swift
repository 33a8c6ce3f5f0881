/// The decoder of one scalar out of a run, for types that decode themselves from a single value.
///
/// That is how `[Double?]`, or an array of a type with a `Double` as its raw value, reads what was sent as `[Double]`.
struct RunElementDecoder: Decoder, ScalarDecodingContainer {
  let wire: DecodingContext
  let node: NodeHandle
  let element: RawElement
  /// The element itself: it stays valid when the message is gone.
  let bytes: UInt128

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(node) }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    throw wire.error([String: Any].self, .mismatch(element.code.tag), codingPath)
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    throw wire.error([Any].self, .mismatch(element.code.tag), codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { false }

  func scalar<T: WireScalar>(_ type: T.Type) throws -> T {
    do throws(WireFault) {
      let result: Result<T, WireFault> = withUnsafeBytes(of: bytes) { bytes in
        Result { () throws(WireFault) in try T.read(element: element.code, at: bytes.baseAddress!) }
      }
      return try result.get()
    } catch {
      throw wire.error(type, error, codingPath)
    }
  }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    // Scalar types decode themselves by asking for a single value, so they need no case here.
    do {
      return try wire.callInit(type, self)
    } catch let fault as WireFault {
      throw wire.error(type, fault, codingPath)
    }
  }
}

extension UnsafeRawPointer {
  /// The first `count` bytes, at most 16, in memory order.
  func loadUnaligned16(_ count: Int) -> UInt128 {
    var result: UInt128 = 0
    withUnsafeMutableBytes(of: &result) { $0.copyMemory(from: UnsafeRawBufferPointer(start: self, count: count)) }
    return result
  }
}
