/// The single-value container of the encoder.
struct SingleValueWriter: SingleValueEncodingContainer {
  let wire: EncodingContext
  let frame: FrameHandle

  var codingPath: [any CodingKey] { wire.state.pointee.codingPath(frame) }

  @inline(__always)
  private func single<T>(_ value: T, _ write: (inout ByteBuffer) -> Void) throws {
    do throws(EncodingFault) {
      try wire.state.pointee.beginValue(frame)
    } catch {
      throw wire.error(for: value, frame, error)
    }
    write(&wire.state.pointee.out)
  }

  func encodeNil() throws { try single(Never?.none) { WireWriter.writeNull(to: &$0) } }
  func encode(_ value: Bool) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Double) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Float) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int8) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int16) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int32) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int64) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: Int128) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt8) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt16) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt32) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt64) throws { try single(value) { WireWriter.write(value, to: &$0) } }
  func encode(_ value: UInt128) throws { try single(value) { WireWriter.write(value, to: &$0) } }

  func encode(_ value: String) throws { try whole(value) }
  func encode<T: Encodable>(_ value: T) throws { try whole(value) }

  private func whole<T: Encodable>(_ value: T) throws {
    let checkpoint: EncodingCheckpoint
    do throws(EncodingFault) {
      checkpoint = try wire.state.pointee.checkpoint(frame)
    } catch {
      throw wire.error(for: value, frame, error)
    }
    do {
      try wire.encodeSingle(value, frame)
    } catch {
      let described = (error as? EncodingFault).map { wire.error(for: value, frame, $0) } ?? error
      wire.state.pointee.rollBack(to: checkpoint)
      throw described
    }
  }
}
