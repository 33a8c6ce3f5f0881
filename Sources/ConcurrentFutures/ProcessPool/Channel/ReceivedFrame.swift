#if os(Linux) || os(macOS)
/// A frame of a worker, copied out of the shared memory. Short payloads lie in it; most are.
struct ReceivedFrame: Sendable {
  let header: ChannelHeader
  private let short: ShortPayload
  private let long: LongPayload?
  /// Closes what nobody takes out: the answer may be for a task whose future is done.
  var attachments: ReceivedAttachments?
  /// They came, and this process had no room for them.
  var hasLostAttachments = false

  init(_ header: ChannelHeader, copying bytes: UnsafeRawBufferPointer) {
    self.header = header
    if bytes.count <= ShortPayload.most {
      long = nil
      short = ShortPayload(copying: bytes)
    } else {
      short = ShortPayload()
      long = LongPayload(header, copying: bytes)
    }
  }

  init(_ payload: LongPayload) {
    header = payload.header
    short = ShortPayload()
    long = payload
  }

  /// Whether to decode it takes a millisecond or more, or may do: most long arrays are in their place already, some must be copied.
  var isLong: Bool { long.map { $0.front.count >= 128 * 1024 || $0.count >= 4 << 20 } ?? false }

  /// What the answer means; once. Everything in it may come from a hostile process.
  func result<Output: Decodable>(as type: Output.Type) -> Result<Output, any Error> {
    if let long, long.isExhausted {
      let reason = "this process has no memory for the \(header.length) bytes of the worker's answer"
      return .failure(TaskEncodingError(.result, reason + ". Return less, or put it into a SharedArray"))
    }
    if hasLostAttachments {
      let reason = "this process has no descriptor left for the worker's \(header.descriptors) shared arrays"
      return .failure(TaskEncodingError(.result, reason + ". Let go of others, or raise its limit of open files"))
    }
    if let long { return result(type, IncomingPayload(long, attachments: attachments)) }
    return short.withBytes { result(type, IncomingPayload(header, $0, attachments: attachments)) }
  }

  private func result<Output: Decodable>(
    _ type: Output.Type, _ payload: IncomingPayload?
  ) -> Result<Output, any Error> {
    guard let payload else { return .failure(TaskEncodingError(.result, "the worker's answer is damaged")) }
    let coder = PayloadCoder.shared
    switch header.kind {
    case .returned:
      do { return .success(try coder.decode(Output.self, from: payload)) } catch {
        return .failure(TaskEncodingError(.result, "it cannot be decoded: \(describe(error))", underlyingError: error))
      }
    case .threw:
      guard let type = TravellingError.errorType(payload.prefix) else {
        return .failure(RemoteError(typeName: "unknown", message: "an error of a type that is not known here"))
      }
      do { return .failure(try coder.decode(type, from: payload)) } catch {
        return .failure(
          RemoteError(typeName: "\(type)", message: "an error that cannot be decoded: \(describe(error))"))
      }
    case .threwRemote:
      return .failure(RemoteDescription(payload.prefix)?.error ?? RemoteError(typeName: "unknown", message: "unknown"))
    default:
      let refusal = Refusal(payload.prefix) ?? Refusal(.result, "the worker's answer is damaged")
      return .failure(TaskEncodingError(refusal.subject, "in the worker: \(refusal.reason)"))
    }
  }
}
#endif
