#if os(Linux) || os(macOS)
/// What stands before each payload. The identity of the task is here, outside the payload, so that a payload that cannot be
/// decoded is the failure of a task that is known. Both sides run on one machine, so numbers are in its byte order.
struct ChannelHeader {
  static let size = 32

  enum Kind: UInt8 {
    // To the worker.
    /// The worker's settings; once, before anything else.
    case configure = 1
    /// A function's reference, which later frames name by its number.
    case define = 2
    /// Run this function before anything else; the worker is ready when it has returned.
    case initialize = 5
    /// Run a function on this payload.
    case run = 3
    /// The memory object with this number (in `task`) is not used any more.
    case forget = 4

    // To the parent.
    /// The worker is up.
    case hello = 16
    /// A task starts.
    case started = 17
    /// A task was revoked before it started.
    case skipped = 18
    /// The encoded result.
    case returned = 19
    /// The task threw an error that travels as itself: its type's reference and its encoding.
    case threw = 20
    /// The task threw an error that cannot travel: type name and message.
    case threwRemote = 21
    /// Argument or result could not be decoded or encoded: which, and why.
    case refused = 22
    /// The worker wants to end (its resident size is over the limit).
    case leaving = 23
    /// The elements of a chunk are decoded. They run one after the other, and each has an answer.
    case unpacked = 24
    /// The chunk has taken long, and the elements after the last that was answered have not begun: they are to run elsewhere.
    case handedBack = 25

    var isFromWorker: Bool { rawValue >= Kind.hello.rawValue }
    var isAnswer: Bool {
      switch self {
      case .returned, .threw, .threwRemote, .refused: true
      default: false
      }
    }
  }

  var kind: Kind
  /// Bytes of payload.
  var length: Int
  /// The claim word of the task.
  var slot = 0
  /// Which task.
  var task: UInt64 = 0
  /// To the worker: which function. In an answer: how many more answers of the same task follow, for other elements of its chunk.
  var function: UInt32 = 0
  /// Descriptors that belong to the payload.
  var descriptors = 0
  /// Blocks of elements behind the message in the payload; their sizes are in the prefix.
  var segments = 0
  /// Bytes of the payload in front of the message.
  var prefix = 0
  /// In answers: how long the task has run, in nanoseconds, at most 4 s.
  var nanoseconds: UInt32 = 0
  var answersToCome: Int { Int(function) }

  init(_ kind: Kind, slot: Int = 0, task: UInt64 = 0, function: UInt32 = 0, nanoseconds: UInt32 = 0) {
    self.kind = kind
    self.length = 0
    self.slot = slot
    self.task = task
    self.function = function
    self.nanoseconds = nanoseconds
  }

  /// Bytes that the frame takes in a ring: headers stay aligned to 8.
  var paddedSize: Int { Self.size + (length + 7) & ~7 }

  @inline(__always) func store(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: UInt32(truncatingIfNeeded: length), as: UInt32.self)
    target.storeBytes(of: kind.rawValue, toByteOffset: 4, as: UInt8.self)
    target.storeBytes(of: UInt8(truncatingIfNeeded: descriptors), toByteOffset: 5, as: UInt8.self)
    target.storeBytes(of: UInt16(truncatingIfNeeded: slot), toByteOffset: 6, as: UInt16.self)
    target.storeBytes(of: task, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: function, toByteOffset: 16, as: UInt32.self)
    target.storeBytes(of: nanoseconds, toByteOffset: 20, as: UInt32.self)
    target.storeBytes(of: UInt32(truncatingIfNeeded: segments), toByteOffset: 24, as: UInt32.self)
    target.storeBytes(of: UInt32(truncatingIfNeeded: prefix), toByteOffset: 28, as: UInt32.self)
  }

  /// Reads each field once, as the other side may write while this side reads; nil for a kind that does not exist.
  @inline(__always) init?(from source: UnsafeRawPointer) {
    guard let kind = Kind(rawValue: source.load(fromByteOffset: 4, as: UInt8.self)) else { return nil }
    self.kind = kind
    length = Int(source.load(as: UInt32.self))
    descriptors = Int(source.load(fromByteOffset: 5, as: UInt8.self))
    slot = Int(source.load(fromByteOffset: 6, as: UInt16.self))
    task = source.load(fromByteOffset: 8, as: UInt64.self)
    function = source.load(fromByteOffset: 16, as: UInt32.self)
    nanoseconds = source.load(fromByteOffset: 20, as: UInt32.self)
    segments = Int(source.load(fromByteOffset: 24, as: UInt32.self))
    prefix = Int(source.load(fromByteOffset: 28, as: UInt32.self))
  }
}
#endif
