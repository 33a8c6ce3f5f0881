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

  func result<Output: Decodable>(as type: Output.Type) -> Result<Output, any Error> { Result { try value(as: type) } }

  /// What the answer means, the error that it means or that keeps it from meaning anything; once. Everything in it may come from
  /// a hostile process.
  ///
  /// Thrown, not in a `Result`: code that knows the type only at run time asks the runtime for the result's type each time.
  func value<Output: Decodable>(as type: Output.Type) throws -> Output {
    if let long, long.isExhausted {
      let reason = "this process has no memory for the \(header.length) bytes of the worker's answer"
      throw TaskEncodingError(.result, reason + ". Return less, or put it into a SharedArray")
    }
    if hasLostAttachments {
      let reason = "this process has no descriptor left for the worker's \(header.descriptors) shared arrays"
      throw TaskEncodingError(.result, reason + ". Let go of others, or raise its limit of open files")
    }
    if let long { return try value(type, IncomingPayload(long, attachments: attachments)) }
    return try short.withBytes { try value(type, IncomingPayload(header, $0, attachments: attachments)) }
  }

  private func value<Output: Decodable>(_ type: Output.Type, _ payload: IncomingPayload?) throws -> Output {
    guard let payload else { throw TaskEncodingError(.result, "the worker's answer is damaged") }
    if header.kind == .returned {
      do { return try PayloadCoder.shared.decode(Output.self, from: payload) } catch {
        throw TaskEncodingError(.result, "it cannot be decoded: \(describe(error))", underlyingError: error)
      }
    }
    throw error(payload)
  }

  /// Of an answer that is no value.
  private func error(_ payload: IncomingPayload) -> any Error {
    switch header.kind {
    case .threw:
      guard let type = TravellingError.errorType(payload.prefix) else {
        return RemoteError(typeName: "unknown", message: "an error of a type that is not known here")
      }
      do { return try PayloadCoder.shared.decode(type, from: payload) } catch {
        return RemoteError(typeName: "\(type)", message: "an error that cannot be decoded: \(describe(error))")
      }
    case .threwRemote:
      return RemoteDescription(payload.prefix)?.error ?? RemoteError(typeName: "unknown", message: "unknown")
    default:
      let refusal = Refusal(payload.prefix) ?? Refusal(.result, "the worker's answer is damaged")
      return TaskEncodingError(refusal.subject, "in the worker: \(refusal.reason)")
    }
  }
}
#endif
