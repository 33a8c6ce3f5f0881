#if os(Linux) || os(macOS)
import CPlatformSupport
import CProcessSupport

/// Where the constructor hands over: this process is a worker, and its `main` will never run.
@_cdecl("cf_process_worker_main")
func processWorkerMain(_ mark: UnsafePointer<CChar>) {
  WorkerProcess(mark: String(cString: mark)).serve()
}

/// At most as many as an answer's header has room for.
private func nanoseconds(since start: UInt64) -> UInt32 { UInt32(min(cf_now() &- start, UInt64(UInt32.max))) }

/// The child's side: reads frames, runs what they ask for, answers.
///
/// Tasks run on the process's main thread, one at a time, with its large stack. A second thread watches the socket for the
/// parent's end and for requests to stop; it is the only other thread of ours.
final class WorkerProcess {
  private let memory: ChannelMemory
  @exclusivity(unchecked) private var reader: RingReader
  @exclusivity(unchecked) private var writer: RingWriter
  @exclusivity(unchecked) private var functions: [UInt32: any WorkerFunction] = [:]
  private let coder = PayloadCoder()
  @exclusivity(unchecked) private var idle = AdaptiveSpin()
  @exclusivity(unchecked) private var roomSpin = AdaptiveSpin()
  @exclusivity(unchecked) private var courtesy = AdaptiveSpin(limit: 3000)
  @exclusivity(unchecked) private var descriptors = DescriptorInbox()
  @exclusivity(unchecked) private var largestResidentSize: UInt64 = 0
  @exclusivity(unchecked) private var nextResidentCheck: UInt64 = 0

  /// Set by the signal handler when the parent asked for a stop.
  nonisolated(unsafe) private static let stopFlag = {
    let flag = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
    flag.initialize(to: 0)
    return flag
  }()
  /// Whether the parent wants what runs now to end.
  static var isStopRequested: Bool { cp_load32(stopFlag) != 0 }
  nonisolated(unsafe) private static var wakePipe: (read: Int32, write: Int32) = (-1, -1)

  fileprivate init(mark: String) {
    guard mark == WorkerMark.expected || mark == WorkerMark.anyBuild else {
      Self.refuse(
        "the worker is not the same build of the program as its parent: start the program again, and with "
          + "options.workerExecutable build both with one version of this library")
    }
    guard let memory = ChannelMemory(descriptor: CP_WORKER_MEMORY) else {
      Self.refuse("the worker cannot map its channel: \(String(cString: cp_error_text(cp_errno())))")
    }
    self.memory = memory
    reader = RingReader(bytes: memory.toWorker, control: memory.toWorkerControl)
    writer = RingWriter(bytes: memory.toParent, control: memory.toParentControl)
    cp_close(CP_WORKER_MEMORY)
    // What a task starts must not inherit the socket: the parent takes its end for ours.
    cp_close_on_exec(CP_WORKER_SOCKET)
    SharedMemoryCache.enable()
    startWatching()
  }

  static func refuse(_ reason: String) -> Never {
    var text = "ConcurrentFutures: \(reason)\n"
    text.withUTF8 { _ = cp_write(2, $0.baseAddress!, $0.count) }
    cp_exit(CP_EXIT_REFUSED)
  }

  /// The thread that ends this process when the parent is gone, however long the task has still to run.
  private func startWatching() {
    var pipe: [Int32] = [-1, -1]
    guard cp_pipe(&pipe) == 0 else { Self.refuse("the worker has no descriptor left") }
    Self.wakePipe = (pipe[0], pipe[1])
    CurrentWork.stopOfThisProcess = Self.stopFlag
    cp_keep_freed_memory()
    cp_go_before_parent_when_memory_is_short()
    cp_worker_signals(memory.stopRequest, Self.stopFlag, pipe[1])
    let started = cp_start_thread(
      { _ in
        while cp_watch(CP_WORKER_SOCKET, WorkerProcess.wakePipe.read) == 0 { WorkerTask.cancel() }
        cp_kill_group()
      }, nil, "cf-watch")
    guard started == 0 else { Self.refuse("the worker cannot start a thread") }
  }

  // MARK: the loop

  fileprivate func serve() -> Never {
    do {
      while true {
        let next = try reader.next()
        if reader.pendingDoorbell {
          reader.pendingDoorbell = false
          ringDoorbell()
        }
        switch next {
        case .none: waitForFrames()
        case .inPlace(let header, let bytes):
          try handle(header) { IncomingPayload(header, bytes, attachments: $0) }
          reader.consume(header.paddedSize)
          if memory.toWorkerControl.takeWaitingProducer() { ringDoorbell() }
        case .moved(let payload):
          if payload.isExhausted {
            try refuseForMemory(payload.header)
          } else {
            try handle(payload.header) { IncomingPayload(payload, attachments: $0) }
          }
        }
      }
    } catch {
      Self.refuse("the parent broke the protocol: \(error.what)")
    }
  }

  private func handle(
    _ header: ChannelHeader, _ payload: (ReceivedAttachments?) -> IncomingPayload?
  ) throws(ChannelViolation) {
    var attached: ReceivedAttachments?
    if header.descriptors > 0 {
      attached = try takeDescriptors(header.descriptors)
      if attached == nil {
        // They take descriptors too.
        SharedMemoryCache.forgetAll()
        let what = "the worker has no descriptor left for its shared arrays (\(header.descriptors))"
        return refuse(header, what + ": raise options.openFileLimit, or close what tasks have left open")
      }
    }
    guard let payload = payload(attached) else {
      throw ChannelViolation(what: "it sent a payload that contradicts its header")
    }
    switch header.kind {
    case .configure:
      configure(payload.prefix)
    case .define:
      functions[header.function] = FunctionReference(payload.prefix)?.workerFunction()
    case .initialize:
      initialize(header, payload)
    case .run:
      run(header, payload)
    case .forget:
      SharedMemoryCache.forget(header.task)
    default: throw ChannelViolation(what: "it sent a frame that goes the other way")
    }
  }

  private func configure(_ bytes: UnsafeRawBufferPointer) {
    guard let settings = WorkerSettings(bytes) else { Self.refuse("the worker's settings do not make sense") }
    for (limit, value) in settings.limits {
      let error = cp_set_limit(limit, value)
      if error != 0 { Self.refuse("the worker cannot limit its resources: \(String(cString: cp_error_text(error)))") }
    }
    largestResidentSize = settings.largestResidentSize
    if !settings.hasInitializer { send(OutgoingFrame(ChannelHeader(.hello))) }
  }

  private func initialize(_ header: ChannelHeader, _ payload: IncomingPayload) {
    let outcome = functions[header.function]?.run(payload, coder) ?? Self.unknownFunction
    cp_flush()
    if case .returned = outcome {
      send(OutgoingFrame(ChannelHeader(.hello)))
    } else {
      answer(header, outcome, nanoseconds: 0)
      // Nothing may run here: wait for the end.
      while true { hear() }
    }
  }

  private static let unknownFunction = WorkerOutcome.refused(
    .closure, "its types do not exist in the worker, which is another program")

  private func refuseForMemory(_ header: ChannelHeader) throws(ChannelViolation) {
    if header.descriptors > 0 { _ = try takeDescriptors(header.descriptors) }
    refuse(header, "there is no memory for its \(header.length) bytes")
  }

  /// A task's argument cannot be had here: the failure of that task alone.
  private func refuse(_ header: ChannelHeader, _ reason: String) {
    let refusal = WorkerOutcome.refused(.argument, reason)
    if header.kind == .run { run(header) { refusal } } else { answer(header, refusal, nanoseconds: 0) }
  }

  private func run(_ header: ChannelHeader, _ payload: IncomingPayload) {
    let listener = ChunkListener(worker: self, header: header, start: cf_now())
    run(header) { functions[header.function]?.run(payload, coder, listener) ?? Self.unknownFunction }
  }

  private struct ChunkListener: PartialListener {
    let worker: WorkerProcess
    let header: ChannelHeader
    let start: UInt64

    func unpacked() { worker.send(OutgoingFrame(ChannelHeader(.unpacked, slot: header.slot, task: header.task))) }

    /// Elements that are longer than those before them must not wait for each other while other workers have nothing to do.
    private static var longestChunk: UInt32 { 2_000_000 }

    func ended(_ outcome: WorkerOutcome, toCome: Int) -> Bool {
      cp_flush()
      if WorkerProcess.isStopRequested { cp_exit(0) }
      let spent = nanoseconds(since: start)
      worker.answer(header, outcome, nanoseconds: spent, toCome: toCome)
      return spent < Self.longestChunk && cp_load32(worker.memory.handBackRequest) == 0
    }
  }

  private func run(_ header: ChannelHeader, _ body: () -> WorkerOutcome) {
    guard Self.isStopRequested == false else { cp_exit(0) }
    guard header.slot < ClaimTable.count, memory.claims.claim(header.slot) else {
      send(OutgoingFrame(ChannelHeader(.skipped, slot: header.slot, task: header.task)))
      return
    }
    let start = cf_now()
    send(OutgoingFrame(ChannelHeader(.started, slot: header.slot, task: header.task)))
    let outcome = body()
    cp_flush()
    // The parent stops this worker for this very task: nobody waits for the answer.
    guard memory.claims.finish(header.slot) else { cp_exit(0) }
    answer(header, outcome, nanoseconds: nanoseconds(since: start))
    checkResidentSize()
  }

  /// A worker that has grown too large leaves when its task has ended. Looked at ten times a second at most.
  private func checkResidentSize() {
    guard largestResidentSize > 0 else { return }
    let now = cf_now()
    guard now >= nextResidentCheck else { return }
    nextResidentCheck = now &+ 100_000_000
    if cp_resident_bytes() > largestResidentSize { cp_give_back_freed_memory() }
    if cp_resident_bytes() > largestResidentSize {
      largestResidentSize = 0
      send(OutgoingFrame(ChannelHeader(.leaving)))
    }
  }

  // MARK: answering

  private func answer(_ request: ChannelHeader, _ outcome: WorkerOutcome, nanoseconds: UInt32, toCome: Int = 0) {
    func header(_ kind: ChannelHeader.Kind) -> ChannelHeader {
      ChannelHeader(
        kind, slot: request.slot, task: request.task, function: UInt32(toCome), nanoseconds: nanoseconds)
    }
    switch outcome {
    case .returned(.short(let payload)): send(OutgoingFrame(header(.returned), short: payload))
    case .returned(.message(let message)):
      let frame = OutgoingFrame(header(.returned), message: message)
      if frame.isTooLarge {
        send(OutgoingFrame(header(.refused), prefix: Refusal(.result, "it is larger than 4 GiB").bytes))
      } else {
        send(frame)
      }
    case .threw(let error):
      let travelling = TravellingError(error)
      if let type = travelling.type, let codable = error as? any Encodable, let message = try? coder.encode(codable) {
        var writer = ReferenceWriter()
        type.write(to: &writer)
        send(OutgoingFrame(header(.threw), prefix: writer.bytes, message: message))
      } else {
        send(OutgoingFrame(header(.threwRemote), prefix: travelling.description.bytes))
      }
    case .handedBack: send(OutgoingFrame(header(.handedBack)))
    case .refused(let subject, let reason):
      send(OutgoingFrame(header(.refused), prefix: Refusal(subject, reason).bytes))
    }
  }

  /// Writes a frame, waiting for room where needed.
  private func send(_ frame: OutgoingFrame) {
    var frame = frame
    if frame.header.descriptors > 0 { sendDescriptors(frame.message!) }
    do {
      while true {
        try frame.write(to: &writer)
        if mustRing() { ringDoorbell() }
        if frame.isWhole { return }
        waitForRoom(frame.wantedRoom)
      }
    } catch {
      Self.refuse("the parent broke the protocol: \(error.what)")
    }
  }

  private func sendDescriptors(_ message: EncodedMessage) {
    if !DescriptorInbox.send(message, to: CP_WORKER_SOCKET, wait: true) { cp_exit(CP_EXIT_REFUSED) }
  }

  /// Whether the parent sleeps and does not come to look by itself, which a thread that has just submitted a task mostly does when it
  /// begins to wait: a doorbell costs more than the microsecond of waiting for that.
  private func mustRing() -> Bool {
    let control = writer.control
    cp_fence()
    let wasAsked = writer.pendingDoorbell
    writer.pendingDoorbell = false
    if !wasAsked {
      guard cp_load32(control.consumerSleeps) != 0 else { return false }
      if courtesy.spin({ cp_load32(control.consumerSleeps) == 0 || cp_load64(control.tail) == writer.position }) {
        return false
      }
      return cp_exchange32(control.consumerSleeps, 0) != 0
    }
    return true
  }

  private func ringDoorbell() {
    var byte = ChannelByte.doorbell.rawValue
    // A full socket holds doorbells that have not been heard yet: one more would say nothing.
    _ = cp_send(CP_WORKER_SOCKET, &byte, 1, nil, 0, false)
  }

  // MARK: waiting

  private func waitForFrames() {
    let control = memory.toWorkerControl
    if idle.spin({ !reader.isEmpty }) { return }
    cp_store32(control.consumerSleeps, 1)
    cp_fence()
    if reader.isEmpty { hear() }
    cp_store32(control.consumerSleeps, 0)
  }

  private func waitForRoom(_ wanted: Int) {
    let control = memory.toParentControl
    // A violation is found by the write that follows.
    func hasRoom() -> Bool { ((try? writer.room(for: wanted)) ?? Int.max) >= wanted }
    if roomSpin.spin(hasRoom) { return }
    cp_store32(control.producerWaits, 1)
    cp_fence()
    if !hasRoom() { hear() }
    cp_store32(control.producerWaits, 0)
  }

  /// Sleeps until the parent rings, and ends when it has closed its side.
  private func hear() {
    if !descriptors.receive(CP_WORKER_SOCKET, wait: true) { end() }
  }

  /// Nil if this process had no room for them.
  private func takeDescriptors(_ count: Int) throws(ChannelViolation) -> ReceivedAttachments? {
    while descriptors.isEmpty {
      guard descriptors.receive(CP_WORKER_SOCKET, wait: true) else { end() }
    }
    guard let taken = descriptors.take() else { return nil }
    if taken.count != count { throw ChannelViolation(what: "it sent other descriptors than it announced") }
    return ReceivedAttachments(taken)
  }

  /// The parent wants no more of this worker.
  private func end() -> Never {
    cp_flush()
    cp_exit(0)
  }
}
#endif
