import Synchronization

/// Why a value could not be written; becomes an `EncodingError` where the coding path is known.
enum EncodingFault: Error {
  case tooDeep
  case tooMuchStack
  case tooLarge
  case secondValue
  case mixedContainers
  /// A container was written to after another one of its parent; see `DeferredNodes`.
  case interleaved
  case finished
}

/// Names one open value of the encoder.
///
/// Serials are never used twice, so a container that outlives its value is told from a later one at the same depth.
struct FrameHandle {
  let serial: Int
  let index: Int32

  static let none = FrameHandle(serial: -1, index: 0)
}

/// A value that is being written.
struct EncodingFrame {
  enum Kind: UInt8 { case empty, value, keyed, unkeyed }

  var serial: Int
  /// Where its first byte is in the output.
  var start: Int
  /// One bit for each of the first 64 keys.
  var writtenKeys: UInt64 = 0
  var count: UInt32 = 0
  /// The last key or place that was written in it.
  var lastStep = PathStep.root
  /// Where it lies in its parent.
  let step: PathStep
  let parent: Int32
  let level: Int32
  var kind = Kind.empty
  var isLong = false
}

/// What to go back to when a value fails to encode and its parent carries on.
struct EncodingCheckpoint {
  /// The place that an unkeyed container's next element has.
  var nextElement: PathStep { .element(Int(frame.count)) }

  fileprivate let handle: FrameHandle
  fileprivate let byteCount: Int
  fileprivate let frame: EncodingFrame
  /// What the value consisted of in deferred mode.
  fileprivate let spliceCount: Int
  fileprivate let entryCount: Int
  fileprivate let segmentCount: Int
  fileprivate let attachmentCount: Int
}

/// The output and the stack of open values.
///
/// `Encoder` has no event for the end of a container. Values are therefore streamed in the order in which they come,
/// and a container is closed, that is, its length is filled in, when its parent is written to again.
struct EncoderState: ~Copyable {
  var out = ByteBuffer()
  /// Where the message begins in `out`.
  private(set) var start = 0
  private(set) var topSerial = -1
  private(set) var top: Int32 = -1
  private(set) var frames: UnsafeMutablePointer<EncodingFrame>
  private var frameCapacity = 16
  private var frameCount: Int32 = 0
  private var nextSerial = 1
  var nesting = 0
  var isBusy = false
  var segmentThreshold = Int.max
  var limits = WireLimits.standard
  private(set) var stack: StackBudget
  var keys = EncodingKeyTable()
  var keyCache = KeyIndexCache()
  var segments: [EncodedMessage.Segment] = []
  var attachments: [EncodedMessage.Attachment] = []
  private(set) var deferred: DeferredNodes?
  /// A fault that cannot be got over; every later write throws it.
  private(set) var fault: EncodingFault?

  private init() {
    frames = .allocate(capacity: frameCapacity)
    stack = StackBudget(byteCount: limits.maximumStackByteCount)
  }

  // MARK: - Reuse

  /// States without an encoder. They are never freed, see `EncodingContext`; there are as many as were ever in use at
  /// once.
  private static let unused = Mutex<UnusedStates<EncoderState>>(UnusedStates())

  static func take() -> UnsafeMutablePointer<EncoderState> {
    if let state = unused.withLock({ $0.take() }) { return state }
    let state = UnsafeMutablePointer<EncoderState>.allocate(capacity: 1)
    state.initialize(to: EncoderState())
    return state
  }

  static func giveBack(_ state: UnsafeMutablePointer<EncoderState>) {
    state.pointee.out = ByteBuffer()
    state.pointee.segments = []
    state.pointee.attachments = []
    unused.withLock { $0.giveBack(state) }
  }

  // MARK: - Message

  /// What the message carries beside its bytes. The state keeps nothing of it: an idle encoder must not hold somebody's memory.
  mutating func takeExtras() -> WireEncoder.Extras {
    let extras = WireEncoder.Extras(segments: segments, attachments: attachments)
    if !segments.isEmpty { segments = [] }
    if !attachments.isEmpty { attachments = [] }
    return extras
  }

  mutating func beginMessage(deferring: Bool) {
    start = out.count
    stack = StackBudget(byteCount: limits.maximumStackByteCount)
    nesting = 0
    top = -1
    topSerial = -1
    frameCount = 0
    fault = nil
    keys.reset()
    keyCache.reset()
    if !segments.isEmpty { segments = [] }
    if !attachments.isEmpty { attachments = [] }
    deferred = deferring ? DeferredNodes() : nil
    if !deferring { beginHeader() }
  }

  /// Begins a message that is one value without containers.
  mutating func beginPlainMessage() {
    start = out.count
    out.append(WireFormat.plainMessage)
  }

  private mutating func beginHeader() {
    out.reserve(WireFormat.keyedMessageHeaderCount)
    out.appendReserved(WireFormat.keyedMessage, byteCount: 1)
    out.appendReserved(UInt32(0), byteCount: 4)
  }

  mutating func finishMessage() throws(EncodingFault) {
    if let fault { throw fault }
    if let nodes = deferred {
      if top >= 0 { swap(&out, &nodes[top].buffer) }
      beginHeader()
      nodes.flatten(0, frames: frames, into: &out)
      deferred = nil
    } else {
      while top >= 0 { try closeTop() }
    }
    topSerial = -1
    top = -1
    if keys.count > 0 {
      let offset = out.count - start
      if offset > limits.maximumMessageByteCount { throw .tooLarge }
      out.store(littleEndian: UInt32(offset), at: start + 1)
      keys.write(to: &out)
    }
    if out.count - start > limits.maximumMessageByteCount { throw .tooLarge }
  }

  /// Takes the output back, whatever state it is in, so that `out` begins and ends as it was before the message.
  mutating func abandonMessage() {
    if let nodes = deferred {
      if top >= 0 { swap(&out, &nodes[top].buffer) }
      deferred = nil
    }
    top = -1
    topSerial = -1
    out.truncate(to: start)
    _ = takeExtras()
  }

  // MARK: - Frames

  /// Makes sure that the next byte goes into the value that `handle` names.
  @inline(__always)
  mutating func activate(_ handle: FrameHandle) throws(EncodingFault) {
    if handle.serial != topSerial { try reactivate(handle) }
  }

  @inline(never)
  private mutating func reactivate(_ handle: FrameHandle) throws(EncodingFault) {
    if let fault { throw fault }
    guard handle.index < frameCount, frames[Int(handle.index)].serial == handle.serial else {
      // Either a container that its parent closed, or one that was kept after the end of the message.
      let wasClosed = handle.serial > 0 && top >= 0 && handle.serial >= frames[0].serial
      throw fail(wasClosed && deferred == nil ? .interleaved : .finished)
    }
    if let nodes = deferred {
      swap(&out, &nodes[top].buffer)
      swap(&out, &nodes[handle.index].buffer)
      top = handle.index
      topSerial = handle.serial
    } else {
      while top > handle.index { try closeTop() }
    }
  }

  /// Keeps a fault for the calls that cannot throw, and makes every later write end in `reactivate`.
  mutating func fail(_ fault: EncodingFault) -> EncodingFault {
    // A container of an earlier message must not spoil the one that is being written now.
    if case .finished = fault { return fault }
    self.fault = self.fault ?? fault
    topSerial = -1
    return fault
  }

  /// Opens a value within the one on top.
  mutating func push(_ step: PathStep) throws(EncodingFault) -> FrameHandle {
    let parent = top
    let level = parent < 0 ? 0 : frames[Int(parent)].level + 1
    if level > limits.maximumDepth { throw .tooDeep }
    if out.count - start > limits.maximumMessageByteCount { throw .tooLarge }
    if let nodes = deferred {
      nodes.append(splicedInto: parent, at: out.count)
      if parent >= 0 { swap(&out, &nodes[parent].buffer) }
      top = frameCount
      swap(&out, &nodes[top].buffer)
    } else {
      top = parent + 1
    }
    frameCount = top + 1
    if Int(frameCount) > frameCapacity { enlargeFrames() }
    let serial = nextSerial
    nextSerial += 1
    topSerial = serial
    (frames + Int(top)).initialize(
      to: EncodingFrame(serial: serial, start: out.count, step: step, parent: parent, level: level))
    return FrameHandle(serial: serial, index: top)
  }

  private mutating func enlargeFrames() {
    let enlarged = UnsafeMutablePointer<EncodingFrame>.allocate(capacity: frameCapacity * 2)
    enlarged.moveInitialize(from: frames, count: frameCapacity)
    frames.deallocate()
    frames = enlarged
    frameCapacity *= 2
  }

  /// Closes a value whose `encode(to:)` has returned.
  mutating func pop(_ handle: FrameHandle) throws(EncodingFault) {
    if let fault { throw fault }
    guard deferred == nil else { return }
    // Its own code may have written to its parent, which closed it.
    guard handle.index <= top, frames[Int(handle.index)].serial == handle.serial else { return }
    while top >= handle.index { try closeTop() }
  }

  private mutating func closeTop() throws(EncodingFault) {
    let frame = frames + Int(top)
    switch frame.pointee.kind {
    case .value: break
    case .empty: WireWriter.appendEmptyKeyed(to: &out)
    case .keyed, .unkeyed: WireWriter.closeContainer(frame.pointee, in: &out)
    }
    frameCount = top
    top -= 1
    topSerial = top < 0 ? -1 : frames[Int(top)].serial
  }

  // MARK: - Containers

  /// Turns a value into a keyed or unkeyed container, or finds that it is one already.
  mutating func open(_ kind: EncodingFrame.Kind, _ handle: FrameHandle) {
    do throws(EncodingFault) {
      try activate(handle)
    } catch {
      _ = fail(error)
      return
    }
    let frame = frames + Int(top)
    if frame.pointee.kind == kind { return }
    guard frame.pointee.kind == .empty else {
      _ = fail(.mixedContainers)
      return
    }
    frame.pointee.kind = kind
    // The outermost containers are the ones that get large: room for a wide length saves moving all their contents.
    frame.pointee.isLong = top == 0
    if deferred == nil { WireWriter.openContainer(frame.pointee, in: &out) }
  }

  /// Writes a key; a value must follow.
  @inline(__always)
  mutating func beginEntry(_ handle: FrameHandle, key: Int) throws(EncodingFault) {
    try activate(handle)
    let frame = frames + Int(top)
    frame.pointee.lastStep = .key(key)
    let bit: UInt64 = key < 64 ? 1 &<< UInt64(truncatingIfNeeded: key) : 0
    if bit == 0 || frame.pointee.writtenKeys & bit != 0 || deferred != nil { try noteUnusualKey(key, bit) }
    frame.pointee.writtenKeys |= bit
    out.append(varint: key)
  }

  /// A key that is written twice replaces its first value, as in a dictionary; that needs the deferred mode.
  @inline(never)
  private mutating func noteUnusualKey(_ key: Int, _ bit: UInt64) throws(EncodingFault) {
    if let nodes = deferred {
      nodes[top].entries.append((key: key, start: out.count))
    } else if bit != 0 || !keys.note(key, writtenBy: topSerial) {
      throw fail(.interleaved)
    }
  }

  /// Counts an element; a value must follow.
  @inline(__always)
  mutating func beginElement(_ handle: FrameHandle) throws(EncodingFault) {
    try activate(handle)
    let frame = frames + Int(top)
    frame.pointee.lastStep = .element(Int(frame.pointee.count))
    frame.pointee.count &+= 1
  }

  /// Claims the place of a single value; a value must follow.
  @inline(__always)
  mutating func beginValue(_ handle: FrameHandle) throws(EncodingFault) {
    try activate(handle)
    let frame = frames + Int(top)
    guard frame.pointee.kind == .empty else { throw .secondValue }
    frame.pointee.kind = .value
  }

  /// Counts elements that were written by one call.
  mutating func countElements(_ count: Int) {
    frames[Int(top)].count &+= UInt32(truncatingIfNeeded: count)
  }

  /// How many more bytes the message may have.
  var remainingByteCount: Int { limits.maximumMessageByteCount - (out.count - start) }

  func isOpen(_ handle: FrameHandle) -> Bool {
    handle.index < frameCount && frames[Int(handle.index)].serial == handle.serial
  }

  /// Throws if something was already written as the value that `handle` names.
  mutating func requireEmpty(_ handle: FrameHandle) throws(EncodingFault) {
    try activate(handle)
    if frames[Int(top)].kind != .empty { throw .secondValue }
  }

  func elementCount(_ handle: FrameHandle) -> Int {
    guard handle.index < frameCount, frames[Int(handle.index)].serial == handle.serial else { return 0 }
    return Int(frames[Int(handle.index)].count)
  }

  // MARK: - Failing values

  mutating func checkpoint(_ handle: FrameHandle) throws(EncodingFault) -> EncodingCheckpoint {
    try activate(handle)
    return EncodingCheckpoint(
      handle: handle, byteCount: out.count, frame: frames[Int(top)],
      spliceCount: deferred?[top].splices.count ?? 0, entryCount: deferred?[top].entries.count ?? 0,
      segmentCount: segments.count, attachmentCount: attachments.count)
  }

  /// Takes back what was written since the checkpoint, so that a caller who catches the error may carry on.
  mutating func rollBack(to checkpoint: EncodingCheckpoint) {
    guard fault == nil else { return }
    if let nodes = deferred {
      guard (try? activate(checkpoint.handle)) != nil else { return }
      nodes[top].truncate(spliceCount: checkpoint.spliceCount, entryCount: checkpoint.entryCount)
    } else {
      let index = Int(checkpoint.handle.index)
      guard index < frameCount, frames[index].serial == checkpoint.handle.serial else { return }
      top = checkpoint.handle.index
      frameCount = top + 1
      topSerial = checkpoint.handle.serial
    }
    out.truncate(to: checkpoint.byteCount)
    frames[Int(top)] = checkpoint.frame
    segments.removeLast(segments.count - checkpoint.segmentCount)
    attachments.removeLast(attachments.count - checkpoint.attachmentCount)
  }

  // MARK: - Coding path

  func codingPath(_ handle: FrameHandle) -> [any CodingKey] {
    guard handle.index < frameCount, frames[Int(handle.index)].serial == handle.serial else { return [] }
    var path: [any CodingKey] = []
    var index = handle.index
    while index >= 0 {
      let frame = frames[Int(index)]
      if let key = frame.step.codingKey({ keys[$0] }) { path.append(key) }
      index = frame.parent
    }
    path.reverse()
    return path
  }
}
