import CProcessSupport

/// `processpaths NAME COUNT`, as `hotpaths`: what parent and worker do for a task, one after the other in this thread. Nobody
/// sleeps or is woken.
@main
enum ProcessPaths {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, let count = Int(arguments[2]),
      let path = paths.first(where: { $0.name == arguments[1] })
    else {
      for path in paths { print(path.name) }
      return
    }
    try path.run(count)
  }
}

private let paths: [(name: String, run: @Sendable (Int) throws -> Void)] = [
  // An integer there and back.
  ("process-task", { try run($0, 7) }),
  // 16 KiB of doubles there and back: not copied into a message, nor into a buffer.
  ("process-array", { try run($0, Array(repeating: 1.5, count: 2048)) }),
]

private func run<Value: Codable & Equatable>(_ count: Int, _ value: Value) throws {
  let channel = Channel()
  for task in 0..<count {
    let result: Value = try channel.send(task, value)
    precondition(result == value)
  }
}

/// Both sides of a worker's channel.
private final class Channel {
  private let memory: ChannelMemory
  @exclusivity(unchecked) private var scheduler = Scheduler<Int, Int>(maxWorkers: 1, maxTasksPerWorker: nil)
  @exclusivity(unchecked) private var parentWriter: RingWriter
  @exclusivity(unchecked) private var parentReader: RingReader
  @exclusivity(unchecked) private var workerWriter: RingWriter
  @exclusivity(unchecked) private var workerReader: RingReader
  private let coder = PayloadCoder()

  init() {
    memory = ChannelMemory(descriptor: cp_memory_object(ChannelMemory.totalSize))!
    parentWriter = RingWriter(bytes: memory.toWorker, control: memory.toWorkerControl)
    workerReader = RingReader(bytes: memory.toWorker, control: memory.toWorkerControl)
    workerWriter = RingWriter(bytes: memory.toParent, control: memory.toParentControl)
    parentReader = RingReader(bytes: memory.toParent, control: memory.toParentControl)
    scheduler.spawning = 1
    _ = scheduler.workerSpawned(0)
    _ = try! scheduler.heard(ChannelHeader(.hello), worker: 0, now: 0, initializerTask: nil)
  }

  func send<Value: Codable>(_ task: Int, _ argument: Value) throws -> Value {
    let message = try PayloadCoder.shared.encodePayload(argument)
    _ = scheduler.submit(task, retries: 0)
    let assignment = scheduler.nextAssignment()!
    memory.claims.offer(assignment.slot)
    let header = ChannelHeader(.run, slot: assignment.slot, task: assignment.task.bits)
    try write(message, header, &parentWriter)
    try work(Value.self)
    var result: Value?
    while let frame = try receive() {
      let heard = try scheduler.heard(frame.header, worker: 0, now: 1, initializerTask: nil)
      if case .ended(let work) = heard, work == task { result = try frame.result(as: Value.self).get() }
    }
    return result!
  }

  private func write(_ payload: OutgoingPayload, _ header: ChannelHeader, _ writer: inout RingWriter) throws {
    var frame =
      switch payload {
      case .short(let payload): OutgoingFrame(header, short: payload)
      case .message(let message): OutgoingFrame(header, message: message)
      }
    try frame.write(to: &writer)
    precondition(frame.isWhole)
  }

  /// The worker: takes the task, and returns its argument.
  private func work<Value: Codable>(_ type: Value.Type) throws {
    guard case .inPlace(let header, let bytes) = try workerReader.next() else { preconditionFailure() }
    precondition(memory.claims.claim(header.slot))
    var started = OutgoingFrame(ChannelHeader(.started, slot: header.slot, task: header.task))
    try started.write(to: &workerWriter)
    let payload = IncomingPayload(header, bytes, attachments: nil)!
    let message = try coder.encodePayload(coder.decode(type, from: payload))
    precondition(memory.claims.finish(header.slot))
    try write(message, ChannelHeader(.returned, slot: header.slot, task: header.task, nanoseconds: 100), &workerWriter)
    workerReader.consume(header.paddedSize)
  }

  private func receive() throws -> ReceivedFrame? {
    guard case .inPlace(let header, let bytes) = try parentReader.next() else { return nil }
    defer { parentReader.consume(header.paddedSize) }
    return ReceivedFrame(header, copying: bytes)
  }
}
