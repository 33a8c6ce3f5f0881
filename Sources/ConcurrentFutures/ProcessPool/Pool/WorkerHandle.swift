#if os(Linux) || os(macOS)
import CProcessSupport
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The parent's side of one worker: a stream of frames in each direction, and the process behind it.
///
/// Sending may be done by any thread. Receiving, the standard error and the end belong to whoever drives the pool.
final class WorkerHandle: @unchecked Sendable {
  let processIdentifier: Int32
  let socket: Int32
  let exitDescriptor: Int32
  let claims: ClaimTable
  let isSameBuild: Bool
  private let memory: ChannelMemory
  private let outbox: AdaptivelyLocked<Outbox>
  // Hints for the driver, which are written under the outbox's lock and read without it. Who has found no room has raised
  // `producerWaits` and tried once more, so the worker rings when there is some: an old value costs a look, not a wake-up.
  /// Frames wait for room in the ring.
  private let hasPending = Atomic<Bool>(false)
  private let tailAtFlush = Atomic<UInt64>(0)

  // The driver's.
  /// The scheduler's number for it.
  @exclusivity(unchecked) var index = -1
  @exclusivity(unchecked) var reader: RingReader
  @exclusivity(unchecked) var standardError: StandardErrorPipe
  @exclusivity(unchecked) var descriptors = DescriptorInbox(most: 512)
  /// The socket is at its end.
  @exclusivity(unchecked) var isDeaf = false
  /// What the worker did that none of ours does. Nothing is read from it after that.
  private let condemnation = AdaptivelyLocked<String?>(nil)
  /// Relaxed: a driver that reads an old value reads some more frames of a worker that is being killed, and trusts none of them.
  private let isBroken = Atomic<Bool>(false)
  /// Also what keeps a signal from going to a process number that is not our child's any more.
  private let exitStatus = AdaptivelyLocked<WorkerTerminatedError.Reason?>(nil)

  /// Owns the descriptors from here on.
  init(
    processIdentifier: Int32, socket: Int32, exitDescriptor: Int32, standardError: Int32, memory: ChannelMemory,
    isSameBuild: Bool
  ) {
    self.processIdentifier = processIdentifier
    self.socket = socket
    self.exitDescriptor = exitDescriptor
    self.memory = memory
    self.isSameBuild = isSameBuild
    self.standardError = StandardErrorPipe(descriptor: standardError)
    claims = memory.claims
    reader = RingReader(bytes: memory.toParent, control: memory.toParentControl)
    outbox = AdaptivelyLocked(Outbox(writer: RingWriter(bytes: memory.toWorker, control: memory.toWorkerControl)))
  }

  // Not before the last reference is gone: a thread may be sending while the driver buries the worker.
  deinit {
    // What lies in the socket is taken out, as to close it would be to close that too.
    cp_end_receiving(socket)
    _ = descriptors.receive(socket, wait: false)
    descriptors.closeAll()
    cp_close(socket)
    cp_close(exitDescriptor)
    cp_close(standardError.descriptor)
    memory.unmap()
  }

  // MARK: sending

  private struct Outbox {
    var writer: RingWriter
    /// Frames that the ring had no room for.
    var pending: [OutgoingFrame] = []
    var next = 0
    var defined: [Bool] = []
    var isBroken = false

    var isEmpty: Bool { next == pending.count }

    mutating func define(_ function: FunctionDefinition) {
      let number = Int(function.number)
      if number < defined.count, defined[number] { return }
      if number >= defined.count {
        defined.append(contentsOf: repeatElement(false, count: number + 8 - defined.count))
      }
      defined[number] = true
      pending.append(OutgoingFrame(ChannelHeader(.define, function: function.number), prefix: function.bytes))
    }

    /// Whether the frame is written, as a whole.
    mutating func write(_ frame: inout OutgoingFrame) -> Bool {
      do { try frame.write(to: &writer) } catch { isBroken = true }
      return frame.isWhole
    }

    /// Writes what there is room for.
    mutating func flush(_ socket: Int32) {
      while next < pending.count, !isBroken {
        writeNext(socket)
        if !pending[next].isWhole { return }
        next += 1
      }
      if next == pending.count {
        pending.removeAll(keepingCapacity: true)
        next = 0
      }
    }

    private mutating func writeNext(_ socket: Int32) {
      if pending[next].header.descriptors > 0, !pending[next].hasSentDescriptors {
        guard let message = pending[next].message, DescriptorInbox.send(message, to: socket, wait: false) else {
          return
        }
        pending[next].hasSentDescriptors = true
      }
      do { try pending[next].write(to: &writer) } catch { isBroken = true }
    }
  }

  func send(_ frame: OutgoingFrame, defining function: FunctionDefinition? = nil) {
    deliver { outbox in
      if let function { outbox.define(function) }
      var frame = frame
      // Mostly there is room, and nobody before it.
      if outbox.isEmpty, frame.header.descriptors == 0, outbox.write(&frame) { return }
      outbox.pending.append(frame)
    }
  }

  /// Whether frames wait for room.
  var isSending: Bool { hasPending.load(ordering: .relaxed) }

  /// Goes on with frames that waited for room.
  func flush() { deliver { _ in } }

  private func deliver(_ add: (inout Outbox) -> Void) {
    let (doorbell, isBroken) = outbox.withLock { outbox in
      add(&outbox)
      if !outbox.isEmpty {
        outbox.flush(socket)
      }
      if !outbox.isEmpty {
        // The worker rings when it has made room; it may have made it just now.
        cp_store32(memory.toWorkerControl.producerWaits, 1)
        cp_fence()
        outbox.flush(socket)
      }
      if outbox.isEmpty == hasPending.load(ordering: .relaxed) {
        hasPending.store(!outbox.isEmpty, ordering: .relaxed)
      }
      if !outbox.isEmpty { tailAtFlush.store(outbox.writer.seenTail, ordering: .relaxed) }
      let doorbell = outbox.writer.control.takeSleepingConsumer() || outbox.writer.pendingDoorbell
      outbox.writer.pendingDoorbell = false
      return (doorbell, outbox.isBroken)
    }
    if doorbell { ringDoorbell() }
    if isBroken { condemn("it moved a position of the ring out of range") }
  }

  /// Whether frames wait for room and the worker has made some since the last try.
  var mayFlush: Bool {
    hasPending.load(ordering: .relaxed) && !isCondemned
      && cp_load64(memory.toWorkerControl.tail) != tailAtFlush.load(ordering: .relaxed)
  }

  /// Goes on with frames that waited for room; whether any did.
  func flushPending() -> Bool {
    guard mayFlush else { return false }
    flush()
    return true
  }

  func ringDoorbell() {
    var byte = ChannelByte.doorbell.rawValue
    _ = cp_send(socket, &byte, 1, nil, 0, false)
  }

  // MARK: receiving

  /// The next frame, copied out of the shared memory; nil when there is none.
  func receive() throws(ChannelViolation) -> ReceivedFrame? {
    if isCondemned { return nil }
    var frame: ReceivedFrame
    switch try reader.next() {
    case .none:
      ringIfPending()
      return nil
    case .inPlace(let header, let bytes):
      frame = ReceivedFrame(header, copying: bytes)
      consumed(header.paddedSize)
    case .moved(let payload):
      frame = ReceivedFrame(payload)
    }
    ringIfPending()
    if frame.header.descriptors > 0 {
      frame.attachments = try takeDescriptors(frame.header.descriptors)
      frame.hasLostAttachments = frame.attachments == nil
    }
    return frame
  }

  private func consumed(_ count: Int) {
    reader.consume(count)
    if memory.toParentControl.takeWaitingProducer() { ringDoorbell() }
  }

  private func ringIfPending() {
    if reader.pendingDoorbell {
      reader.pendingDoorbell = false
      ringDoorbell()
    }
  }

  /// Nil if this process had no room for them.
  private func takeDescriptors(_ count: Int) throws(ChannelViolation) -> ReceivedAttachments? {
    // They were sent before the frame was published.
    if descriptors.isEmpty { hear() }
    if descriptors.isEmpty { throw ChannelViolation(what: Self.lackOfDescriptors) }
    guard let taken = descriptors.take() else { return nil }
    let attachments = ReceivedAttachments(taken)
    if taken.count != count { throw ChannelViolation(what: Self.lackOfDescriptors) }
    return attachments
  }

  private static var lackOfDescriptors: String { "it announced descriptors that it did not send" }

  /// Empties the socket.
  func hear() {
    if !isDeaf, !descriptors.receive(socket, wait: false) { isDeaf = true }
    if descriptors.hasReceivedForeign { condemn("it sent a descriptor that is not one of shared memory") }
  }

  /// Whether it has read the first frame: its settings wait for it from the beginning.
  var hasTakenAnything: Bool { readPosition != 0 }
  /// How far it has read.
  var readPosition: UInt64 { cp_load64(memory.toWorkerControl.tail) }
  /// It was found without a sign of work when it had read so far.
  @exclusivity(unchecked) var silentAt: UInt64?
  var hasInput: Bool { !reader.isEmpty && !isCondemned }

  /// Forwards its standard error.
  func pumpStandardError() {
    standardError.pump()
    if reader.isEmpty { standardError.nothingElseWasSaid() }
  }

  /// Whether it has read nothing since it was asked this the last time, though all that it has to read is there. It has tasks, and has
  /// begun with none: a machine that stood still, or a task that is on its way for long, explains that once.
  func isStillSilent() -> Bool {
    defer { silentAt = isSending ? nil : readPosition }
    return !isSending && silentAt == readPosition
  }

  /// The worker has ended: only what it has left in the ring is read.
  func seal() {
    do throws(ChannelViolation) { try reader.seal() } catch { condemn(error.what) }
  }

  /// Announces that the driver sleeps; whether it may.
  func prepareToSleep() { cp_store32(memory.toParentControl.consumerSleeps, 1) }
  func wakeUp() { cp_store32(memory.toParentControl.consumerSleeps, 0) }

  // MARK: ending

  func signal(_ number: Int32) {
    exitStatus.withLock { if $0 == nil { _ = cp_signal_group(processIdentifier, number) } }
  }

  func kill() { signal(SIGKILL) }

  /// Ends a worker that has broken the protocol. From any thread; the first reason counts.
  func condemn(_ what: String) {
    condemnation.withLock { if $0 == nil { $0 = what } }
    isBroken.store(true, ordering: .relaxed)
    kill()
  }

  var isCondemned: Bool { isBroken.load(ordering: .relaxed) }

  /// How the worker broke the protocol, if it did.
  var violation: String? { condemnation.withLock { $0 } }

  /// Whether the process is on its way out, so that what looks odd is its end.
  var isEnding: Bool { cp_is_ending(processIdentifier) }

  /// Asks the task that runs to stop: its cancellation, and SIGTERM.
  func requestStop() {
    cp_store32(memory.stopRequest, 1)
    signal(SIGTERM)
  }

  /// Asks for what has not begun of a chunk that runs.
  func requestHandBack() { cp_store32(memory.handBackRequest, 1) }

  /// Lets the worker end when it has read everything.
  func endSending() { cp_end_sending(socket) }

  /// How the process has ended, once it has; it is reaped then.
  func reap() -> WorkerTerminatedError.Reason? {
    exitStatus.withLock { status in
      if let status { return status }
      var signalled = false
      var code: Int32 = 0
      switch cp_reap(processIdentifier, &signalled, &code) {
      case 0: return nil
      case 1: status = signalled ? .signalled(code) : .exited(code)
      // Somebody else has reaped it, or children are reaped by themselves here: how it ended is lost.
      default: status = .exited(-1)
      }
      return status
    }
  }
}

extension WorkerTerminatedError.Reason {
  /// Signals that nobody sends himself: the kernel short of memory, an operator, a service manager that ends a whole group.
  var isFromOutside: Bool { [.signalled(SIGKILL), .signalled(SIGTERM), .signalled(SIGHUP)].contains(self) }
}
#endif
