import Synchronization

/// Names a value that is being decoded, for its coding path and for what is remembered of it.
struct NodeHandle {
  let serial: UInt64
  let index: Int32
}

/// A value that is being decoded.
struct DecodingNode {
  let serial: UInt64
  let parent: Int32
  /// Where it lies in its parent.
  let step: PathStep
  let level: Int32
  /// Whether `keys` and `entryCount` are known.
  var isScanned = false
  /// Whether `KeyedReader` has an index of its entries.
  var isIndexed = false
  /// The next entry of a keyed container; 0 is its first.
  var cursor = 0
  /// One bit for each of the first 64 keys of the message that occur in it.
  var keys: UInt64 = 0
}

/// The message and the stack of values that are being decoded.
struct DecoderState: ~Copyable {
  private(set) var reader: WireReader
  /// Where the value of the message begins.
  private(set) var valueStart = 0
  var limits = WireLimits.standard
  var isBusy = false
  private(set) var attachments: ReceivedAttachments?
  private(set) var stack: StackBudget
  var keys = DecodingKeyTable()
  var keyCache = KeyIndexCache()
  var nesting = 0
  /// Entries of large containers that are not read in order, by the serial of their node.
  var indices: [UInt64: [Int: Int]] = [:]
  private var segments: [IncomingSegment] = []
  /// Which place of the message refers to a segment.
  private var segmentUsers: [Int] = []
  private var nodes: UnsafeMutablePointer<DecodingNode>
  private var nodeCapacity = 16
  private var nodeCount: Int32 = 0
  private var nextSerial: UInt64 = 1
  /// The first serial of this message; smaller ones are of earlier messages.
  private var firstSerial: UInt64 = 1

  private init() {
    reader = WireReader(base: UnsafePointer(bitPattern: 16)!, end: 0)
    stack = StackBudget(byteCount: limits.maximumStackByteCount)
    nodes = .allocate(capacity: nodeCapacity)
  }

  // MARK: - Reuse

  /// States without a decoder; see `EncoderState`.
  private static let unused = Mutex<UnusedStates<DecoderState>>(UnusedStates())

  static func take() -> UnsafeMutablePointer<DecoderState> {
    if let state = unused.withLock({ $0.take() }) { return state }
    let state = UnsafeMutablePointer<DecoderState>.allocate(capacity: 1)
    state.initialize(to: DecoderState())
    return state
  }

  static func giveBack(_ state: UnsafeMutablePointer<DecoderState>) {
    unused.withLock { $0.giveBack(state) }
  }

  // MARK: - Message

  /// Reads what surrounds the value.
  mutating func beginMessage(
    _ bytes: UnsafeRawBufferPointer, segments: [IncomingSegment], attachments: ReceivedAttachments?
  ) throws(WireFault) {
    self.attachments = attachments
    stack = StackBudget(byteCount: limits.maximumStackByteCount)
    self.segments = segments
    segmentUsers = segments.isEmpty ? [] : Array(repeating: -1, count: segments.count)
    guard bytes.count <= limits.maximumMessageByteCount else { throw .badLength }
    guard let start = bytes.baseAddress, bytes.count > 0 else { throw .truncated }
    let base = start.assumingMemoryBound(to: UInt8.self)
    reader = WireReader(base: base, end: bytes.count)
    switch base[0] {
    case WireFormat.plainMessage: valueStart = 1
    case WireFormat.keyedMessage:
      let table = Int(try reader.load(checked: UInt32.self, at: 1))
      if table > 0 {
        guard table >= WireFormat.keyedMessageHeaderCount, table <= reader.end else { throw .badLength }
        try keys.read(reader, at: table)
        reader = WireReader(base: base, end: table)
      }
      valueStart = WireFormat.keyedMessageHeaderCount
    default: throw .badTag(base[0])
    }
  }

  /// Lets go of the message: containers that are still about find nothing to read.
  mutating func endMessage() {
    reader = WireReader(base: UnsafePointer(bitPattern: 16)!, end: 0)
    keys.reset()
    keyCache.reset()
    nodeCount = 0
    nesting = 0
    firstSerial = nextSerial
    attachments = nil
    if !segments.isEmpty {
      segments = []
      segmentUsers = []
    }
    if !indices.isEmpty { indices = [:] }
  }

  // MARK: - Nodes

  mutating func push(_ step: PathStep, in parent: NodeHandle?) throws(WireFault) -> NodeHandle {
    var parentIndex: Int32 = -1
    var level: Int32 = 0
    if let parent, isOpen(parent) {
      parentIndex = parent.index
      level = nodes[Int(parentIndex)].level + 1
    }
    if level > limits.maximumDepth { throw .tooDeep }
    if Int(nodeCount) == nodeCapacity { enlargeNodes() }
    let serial = nextSerial
    nextSerial += 1
    (nodes + Int(nodeCount)).initialize(
      to: DecodingNode(serial: serial, parent: parentIndex, step: step, level: level))
    nodeCount += 1
    return NodeHandle(serial: serial, index: nodeCount - 1)
  }

  private mutating func enlargeNodes() {
    let enlarged = UnsafeMutablePointer<DecodingNode>.allocate(capacity: nodeCapacity * 2)
    enlarged.moveInitialize(from: nodes, count: nodeCapacity)
    nodes.deallocate()
    nodes = enlarged
    nodeCapacity *= 2
  }

  /// Drops a node and those that came after it.
  @inline(__always)
  mutating func pop(_ handle: NodeHandle) {
    if handle.index < nodeCount { nodeCount = handle.index }
  }

  @inline(__always)
  func isOpen(_ handle: NodeHandle) -> Bool {
    handle.index < nodeCount && nodes[Int(handle.index)].serial == handle.serial
  }

  /// Whether a value belongs to the message that is being decoded.
  @inline(__always)
  func isCurrent(_ handle: NodeHandle) -> Bool { handle.serial >= firstSerial }

  /// What is remembered of a value, or nil when a container has outlived it and must do without.
  @inline(__always)
  func node(_ handle: NodeHandle) -> UnsafeMutablePointer<DecodingNode>? {
    isOpen(handle) ? nodes + Int(handle.index) : nil
  }

  mutating func codingPath(_ handle: NodeHandle?) -> [any CodingKey] {
    guard let handle, isOpen(handle) else { return [] }
    var path: [any CodingKey] = []
    var index = handle.index
    while index >= 0 {
      let node = nodes[Int(index)]
      if let key = codingKey(node.step) { path.append(key) }
      index = node.parent
    }
    path.reverse()
    return path
  }

  mutating func codingKey(_ step: PathStep) -> (any CodingKey)? {
    var name: WireKey?
    if step.rawValue >= 0 { name = try? keys.key(Int(step.rawValue)) }
    return step.codingKey { _ in name ?? WireKey(stringValue: "?") }
  }

  // MARK: - Segments

  /// The bytes of a segment that is in use; an error when its message is gone.
  func segmentBytes(_ index: Int) throws(WireFault) -> UnsafeRawBufferPointer {
    guard index < segments.count else { throw .finished }
    return segments[index].bytes
  }

  /// The segment that the value at `offset` refers to.
  ///
  /// Only one place of a message may refer to a segment: else a small message could demand any amount of memory.
  mutating func useSegment(at offset: Int) throws(WireFault) -> IncomingSegment {
    let (header, index) = try reader.segment(at: offset)
    guard index < segments.count else { throw .segment("Segment \(index) is missing.") }
    guard segments[index].bytes.count == header.byteCount else {
      throw .segment("Segment \(index) has \(segments[index].bytes.count) bytes instead of \(header.byteCount).")
    }
    guard segmentUsers[index] == -1 || segmentUsers[index] == offset else {
      throw .segment("Segment \(index) is used twice.")
    }
    segmentUsers[index] = offset
    return segments[index]
  }
}
