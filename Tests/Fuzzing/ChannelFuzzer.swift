// The libFuzzer entry for the parent's reading side: the ring, frames, and what the scheduler makes of them. See `run`.
//
// An input is a program of a hostile worker: it writes into the ring and the claim words, moves positions, and dies in the
// end. Whatever it does, every task must be answered once, lost (one at most) or back in the queue.

import CProcessSupport

/// The bytes of the input, one after the other; zeros behind the end.
private struct Input {
  private var rest: UnsafeRawBufferPointer
  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }
  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 {
    guard let first = rest.first else { return 0 }
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
    return first
  }
  mutating func number() -> UInt64 { (0..<8).reduce(0) { word, _ in word << 8 | UInt64(byte()) } }
  mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer {
    let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    return taken
  }
}

private typealias Machine = Scheduler<Int, Int>

nonisolated(unsafe) private let object: (descriptor: Int32, memory: ChannelMemory) = {
  let descriptor = cp_memory_object(ChannelMemory.totalSize)
  return (descriptor, ChannelMemory(descriptor: descriptor)!)
}()

/// A channel, a worker that is up and has some tasks, and what was heard of them.
private struct World {
  let memory = object.memory
  var reader: RingReader
  var machine = Machine(maxWorkers: 1, maxTasksPerWorker: nil)
  var tasks: [Machine.Assignment] = []
  var head: UInt64 = 0
  var answered: Set<Int> = []
  let count = 40

  init() {
    memory.control.initializeMemory(as: UInt8.self, repeating: 0, count: ChannelMemory.controlSize)
    reader = RingReader(bytes: memory.toParent, control: memory.toParentControl)
    machine.spawning = 1
    _ = machine.workerSpawned(0)
    hear(ChannelHeader(.hello))
    _ = machine.submit(-1, retries: 0)
    let first = machine.nextAssignment()!
    hear(ChannelHeader(.started, slot: first.slot, task: first.task.bits))
    hear(ChannelHeader(.returned, slot: first.slot, task: first.task.bits, nanoseconds: 100))
    for number in 0..<count { _ = machine.submit(number, retries: 0) }
    while let next = machine.nextAssignment() {
      memory.claims.offer(next.slot)
      tasks.append(next)
    }
  }

  /// Only for what cannot fail.
  private mutating func hear(_ header: ChannelHeader) {
    _ = try! machine.heard(header, worker: 0, now: 0, initializerTask: nil)
  }

  /// As the driver does. False after a violation.
  mutating func read() throws(ChannelViolation) {
    // No more than the ring holds, as nothing is written meanwhile.
    for _ in 0...ChannelMemory.ringSize / ChannelHeader.size {
      let frame: ReceivedFrame
      switch try reader.next() {
      case .none:
        precondition(reader.isEmpty, "nothing to read, and the driver would look again for ever")
        return
      case .inPlace(let header, let bytes):
        precondition(bytes.count == header.length && header.paddedSize <= RingReader.inPlaceLimit)
        frame = ReceivedFrame(header, copying: bytes)
        reader.consume(header.paddedSize)
      case .moved(let payload):
        precondition(payload.count == payload.header.length)
        frame = ReceivedFrame(payload)
      }
      let heard = try machine.heard(frame.header, worker: 0, now: 1, initializerTask: .max)
      if case .ended(let work?) = heard { precondition(answered.insert(work).inserted, "answered twice") }
      decode(frame)
    }
    preconditionFailure("more frames than the ring holds")
  }

  private func decode(_ frame: ReceivedFrame) {
    guard frame.header.kind.isAnswer else { return }
    // Once, as its arrays are given away.
    switch frame.header.length % 5 {
    case 0: _ = frame.result(as: [String: [Int?]].self)
    case 1: _ = frame.result(as: [[Double]].self)
    case 2: _ = frame.result(as: [Int64].self)
    case 3: _ = frame.result(as: [[UInt8]].self)
    default: _ = frame.result(as: String.self)
    }
  }

  mutating func die() {
    do {
      try reader.seal()
      memory.toParentControl.head.pointee &+= 64
      try read()
    } catch {}
    let death = machine.workerGone(0) { memory.claims.hasStarted($0) }
    precondition(death.lost.count <= 1, "a death cost more than one task")
    let queued = machine.queued.compactMap { machine.record($0)?.work }
    precondition(queued.count == machine.queue.count)
    precondition(answered.count + death.lost.count + queued.count == count, "a task was lost, or is there twice")
    precondition(answered.union(death.lost).union(queued) == Set(0..<count))
  }
}

private func run(_ input: inout Input) {
  var world = World()
  let kinds: [ChannelHeader.Kind] = [
    .hello, .started, .skipped, .returned, .threw, .threwRemote, .refused, .leaving, .run, .returned, .started,
    .refused,
  ]
  var current = world.tasks[0]
  do {
    while !input.isEmpty {
      let choice = input.byte()
      switch choice % 10 {
      case _ where choice >= 250: writeSegments(&world, current.slot, current.task, &input)
      // A frame about one of its tasks, as it should be.
      case 0, 1, 2, 3:
        let kind = kinds[Int(input.byte()) % kinds.count]
        if kind == .started { current = world.tasks[Int(input.byte()) % world.tasks.count] }
        var header = ChannelHeader(kind, slot: current.slot, task: current.task.bits, nanoseconds: 5)
        let payload = input.bytes(Int(input.byte()))
        header.length = payload.count
        header.prefix = Int(input.byte()) % (payload.count + 1)
        write(&world, header, payload)
      // Any header.
      case 4:
        let position = Int(world.head % UInt64(ChannelMemory.ringSize))
        world.memory.toParent.advanced(by: position).copyMemory(from: input.bytes(32))
        world.head &+= 32
      // A long frame, in pieces.
      case 5:
        var header = ChannelHeader(.returned, slot: current.slot, task: current.task.bits)
        header.length = Int(input.byte()) << 11 | Int(input.byte())
        header.segments = Int(input.byte())
        write(&world, header, input.bytes(Int(input.byte())))
      case 6: world.head &+= UInt64(input.byte()) << 10
      case 7: world.head = input.number()
      // A claim word, and a task that is taken back.
      case 8:
        world.memory.claims.words[world.tasks[Int(input.byte()) % world.tasks.count].slot] = UInt32(input.byte()) % 7
      default:
        if let claim = world.machine.unstarted(of: 0).first, world.memory.claims.revoke(claim.slot) {
          world.machine.revoked(claim, requeue: true)
        }
      }
      world.memory.toParentControl.head.pointee = world.head
      if input.byte() & 1 == 0 { try world.read() }
    }
    try world.read()
  } catch {}
  world.die()
}

/// An answer with long arrays whose layout adds up; what their elements are may be a lie.
private func writeSegments(_ world: inout World, _ slot: Int, _ task: TaskID, _ input: inout Input) {
  let counts = (0...Int(input.byte() % 3)).map { _ in PayloadCoder.segmentThreshold + Int(input.byte()) }
  let elements = counts.map { _ in Int(input.byte()) }
  let message = input.bytes(Int(input.byte()))
  var layout = ReferenceWriter()
  layout.write(message.count)
  for (count, element) in zip(counts, elements) { layout.write(count << 8 | element) }
  var header = ChannelHeader(.returned, slot: slot, task: task.bits)
  header.segments = counts.count
  header.length = layout.bytes.count + message.count + counts.reduce(0, +)
  // The arrays are what lies in the ring.
  (layout.bytes + Array(message)).withUnsafeBytes { write(&world, header, $0) }
}

private func write(_ world: inout World, _ header: ChannelHeader, _ payload: UnsafeRawBufferPointer) {
  let position = world.memory.toParent + Int(world.head % UInt64(ChannelMemory.ringSize)) & ~7
  header.store(to: position)
  if payload.count > 0 {
    position.advanced(by: ChannelHeader.size).copyMemory(from: payload.baseAddress!, byteCount: payload.count)
  }
  // As much of it as is announced and fits; the rest is what lies in the ring.
  world.head &+= UInt64(min(header.paddedSize, ChannelMemory.ringSize / 2))
}

extension UnsafeMutableRawPointer {
  fileprivate func copyMemory(from bytes: UnsafeRawBufferPointer) {
    if let base = bytes.baseAddress { copyMemory(from: base, byteCount: bytes.count) }
  }
}

/// Reads one input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> Int32 {
  guard let start else { return 0 }
  var input = Input(UnsafeRawBufferPointer(start: start, count: count))
  run(&input)
  return 0
}
