#if os(Linux) || os(macOS)
import CPlatformSupport
import CProcessSupport
import Dispatch
import FuturesTestLibc
import Synchronization
import Testing

@testable import ConcurrentFutures

/// Something that arrives damaged, out of order or never.
private struct Lost: Error { let what: String }

/// What the frame of some number carries: the description of an error, short ones and some that are longer than a ring.
private struct Parcel {
  private let number: Int
  private let description: RemoteDescription

  init(_ number: Int) {
    self.number = number
    var random = SeededGenerator(seed: UInt64(number))
    let longest =
      switch number % 64 {
      case 0: 3 * ChannelMemory.ringSize
      case 1...4: ChannelMemory.ringSize / 2
      default: 300
      }
    let piece = "\(number),"
    let count = Int.random(in: 0...longest, using: &random) / piece.utf8.count
    description = RemoteDescription(typeName: "\(number)", message: String(repeating: piece, count: count))
  }

  func frame(_ kind: ChannelHeader.Kind) -> OutgoingFrame {
    OutgoingFrame(ChannelHeader(kind, task: UInt64(number)), prefix: description.bytes)
  }

  func expect(_ header: ChannelHeader, _ bytes: UnsafeRawBufferPointer) throws {
    guard header.task == UInt64(number) else { throw Lost(what: "frame \(number): \(header.task) came") }
    let isSame = description.bytes.withUnsafeBytes { expected in
      bytes.count == expected.count && memcmp(bytes.baseAddress!, expected.baseAddress!, expected.count) == 0
    }
    guard isSame else { throw Lost(what: "the contents of frame \(number)") }
  }

  func expect(_ frame: ReceivedFrame) throws {
    guard case .failure(let error as RemoteError) = frame.result(as: Int.self),
      error.typeName == description.typeName, error.message == description.message
    else { throw Lost(what: "the contents of frame \(number)") }
  }
}

/// What wakes one side of a channel. However often it rings before somebody waits, it is heard.
private final class Bell: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  func ring() { semaphore.signal() }
  func wait() throws {
    guard semaphore.wait(timeout: .now() + .seconds(patience)) == .success else { throw Lost(what: "a wake-up") }
  }
}

/// A socket of single bytes, as a worker has it.
private struct SocketBell {
  let socket: Int32
  func ring() {
    var byte = ChannelByte.doorbell.rawValue
    _ = cp_send(socket, &byte, 1, nil, 0, false)
  }
  func wait() throws {
    var polled = [pollfd(fd: socket, events: Int16(POLLIN), revents: 0)]
    guard cp_poll(&polled, 1, Int64(patience) * 1_000_000_000) == 1 else { throw Lost(what: "a wake-up") }
  }
  func hear() throws {
    try wait()
    var inbox = DescriptorInbox()
    guard inbox.receive(socket, wait: false) else { throw Lost(what: "the other side") }
  }
}

/// The writing side, as a worker's `send`: it waits for room.
private struct Sender {
  var writer: RingWriter
  let ring: () -> Void
  let hear: () throws -> Void

  mutating func send(_ frame: OutgoingFrame) throws {
    var frame = frame
    while true {
      try frame.write(to: &writer)
      let sleeps = writer.control.takeSleepingConsumer()
      if sleeps || writer.pendingDoorbell { ring() }
      writer.pendingDoorbell = false
      if frame.isWhole { return }
      cp_store32(writer.control.producerWaits, 1)
      cp_fence()
      if try writer.room(for: frame.wantedRoom) < frame.wantedRoom { try hear() }
      cp_store32(writer.control.producerWaits, 0)
    }
  }
}

/// The reading side, as a worker's loop and as the driver have it: it waits for frames.
private struct Receiver {
  var reader: RingReader
  let ring: () -> Void
  let hear: () throws -> Void

  mutating func receive(_ take: (ChannelHeader, UnsafeRawBufferPointer) throws -> Void) throws {
    while true {
      let next = try reader.next()
      if reader.pendingDoorbell { ring() }
      reader.pendingDoorbell = false
      switch next {
      case .none:
        cp_store32(reader.control.consumerSleeps, 1)
        cp_fence()
        if reader.isEmpty { try hear() }
        cp_store32(reader.control.consumerSleeps, 0)
      case .inPlace(let header, let bytes):
        try take(header, bytes)
        reader.consume(header.paddedSize)
        if reader.control.takeWaitingProducer() { ring() }
        return
      case .moved(let payload): return try take(payload.header, payload.front)
      }
    }
  }
}

extension ProcessPools {
  /// What a parent and a worker do with the memory that they share, in the threads of one process: a sanitizer sees both sides.
  @Suite struct Sharing {
    /// Now and then one side is so slow that the other goes to sleep.
    private static func dawdle(_ number: Int, _ seed: UInt64) {
      var random = SeededGenerator(seed: UInt64(number) &+ seed << 32)
      if random.next() % 16 == 0 { for _ in 0..<random.next() % 200 { sched_yield() } }
    }

    @Test(arguments: 1...3)
    func everyFrameArrivesAndNobodySleepsForEver(seed: UInt64) async throws {
      let channel = try Channel()
      let bells = (writer: Bell(), reader: Bell())
      let count = stress(3000)
      _ = try await onThreads(2) { side in
        if side == 0 {
          var sender = Sender(writer: channel.writer(), ring: bells.reader.ring, hear: bells.writer.wait)
          for number in 0..<count {
            Self.dawdle(number, seed)
            try sender.send(Parcel(number).frame(.returned))
          }
        } else {
          var receiver = Receiver(reader: channel.reader(), ring: bells.writer.ring, hear: bells.reader.wait)
          for number in 0..<count {
            Self.dawdle(number, seed + 100)
            try receiver.receive { try Parcel(number).expect($0, $1) }
          }
        }
      }
    }

    /// Several threads that submit, the thread that drives, and a worker that sends everything back.
    @Test(arguments: [1, 4])
    func everyFrameThatIsSentToAWorkerComesBack(threads: Int) async throws {
      var sockets: [Int32] = [-1, -1]
      #expect(cp_socket_pair(&sockets) == 0)
      let bell = SocketBell(socket: sockets[1])
      defer { cp_close(sockets[1]) }
      let object = try SharedMemory(size: ChannelMemory.totalSize)
      let memory = try #require(ChannelMemory(descriptor: object.descriptor))
      // Of no process: nobody can be killed.
      let handle = WorkerHandle(
        processIdentifier: -1, socket: sockets[0], exitDescriptor: -1, standardError: -1, memory: memory,
        isSameBuild: true)
      let count = stress(2000)
      _ = try await onThreads(threads + 2) { role in
        switch role {
        // The handle unmaps the memory when it goes.
        case 0: try withExtendedLifetime(handle) { try Self.work(memory, bell, count * threads) }
        case 1: try Self.drive(handle, count, threads)
        default: for number in 0..<count { handle.send(Parcel(number).frame(.run)) }
        }
      }
      #expect(!handle.isCondemned && !handle.isSending)
    }

    private static func work(_ memory: ChannelMemory, _ bell: SocketBell, _ count: Int) throws {
      let reader = RingReader(bytes: memory.toWorker, control: memory.toWorkerControl)
      let writer = RingWriter(bytes: memory.toParent, control: memory.toParentControl)
      var receiver = Receiver(reader: reader, ring: bell.ring, hear: bell.hear)
      var sender = Sender(writer: writer, ring: bell.ring, hear: bell.hear)
      for _ in 0..<count {
        var answer: OutgoingFrame?
        try receiver.receive { header, bytes in
          answer = OutgoingFrame(ChannelHeader(.threwRemote, task: header.task), prefix: Array(bytes))
        }
        try sender.send(answer!)
      }
    }

    /// As the driver's loop, without its spinning.
    private static func drive(_ handle: WorkerHandle, _ count: Int, _ threads: Int) throws {
      // How often each number has come.
      var arrived = Array(repeating: 0, count: count)
      var left = count * threads
      while left > 0 {
        var progressed = false
        while let frame = try handle.receive() {
          progressed = true
          arrived[Int(frame.header.task)] += 1
          left -= 1
          try Parcel(Int(frame.header.task)).expect(frame)
        }
        if handle.flushPending() { progressed = true }
        if progressed { continue }
        handle.prepareToSleep()
        cp_fence()
        if !handle.hasInput {
          try SocketBell(socket: handle.socket).wait()
          handle.hear()
          handle.flush()
        }
        handle.wakeUp()
      }
      guard arrived.allSatisfy({ $0 == threads }) else {
        throw Lost(what: "not every frame came as often as it was sent")
      }
    }

    /// What each side makes of one task: they have to agree.
    private struct Fate: Sendable {
      var isSkipped = false
      var isStopped = false
      var isRevoked = false
      var isStopping = false
      var wasFinished = false
    }

    /// The worker goes through its tasks, while the parent offers them and takes some back, of which it cannot know how far they are.
    @Test(arguments: 1...3)
    func everyTaskEndsOnceWhoeverTakesItBack(seed: UInt64) async throws {
      let words = UnsafeMutablePointer<UInt32>.allocate(capacity: ClaimTable.count)
      words.initialize(repeating: 0, count: ClaimTable.count)
      let table = ClaimTable(words: words)
      let count = stress(50_000)
      // What the rings say: so many are offered, and so many are done with.
      let (offered, handled) = (Tally(), Tally())
      let window = 8
      @Sendable func slot(_ task: Int) -> Int { task % window }

      let fates = try await onThreads(2) { side -> [Fate] in
        var fates = Array(repeating: Fate(), count: count)
        var random = SeededGenerator(seed: seed &* 2 &+ UInt64(side))
        if side == 0 {
          for task in 0..<count {
            while offered.count <= task { sched_yield() }
            if !table.claim(slot(task)) {
              fates[task].isSkipped = true
            } else {
              for _ in 0..<random.next() % 64 { cf_pause() }
              fates[task].isStopped = !table.finish(slot(task))
            }
            handled.add()
          }
        } else {
          for task in 0..<count {
            while handled.count <= task - window { sched_yield() }
            table.offer(slot(task))
            offered.add()
            // One of those that are under way. Once is enough for each.
            let other = task - Int(random.next() % UInt64(window))
            guard other >= 0, !fates[other].isRevoked, !fates[other].isStopping, !fates[other].wasFinished else {
              continue
            }
            for _ in 0..<random.next() % 64 { cf_pause() }
            if random.next() % 2 == 0 {
              fates[other].isRevoked = table.revoke(slot(other))
            } else {
              switch table.takeBack(slot(other)) {
              case .revoked: fates[other].isRevoked = true
              case .stopping: fates[other].isStopping = true
              case .finished: fates[other].wasFinished = true
              }
            }
          }
        }
        return fates
      }
      words.deallocate()
      let (worker, parent) = (fates[0], fates[1])
      let differing = (0..<count).first { task in
        worker[task].isSkipped != parent[task].isRevoked || worker[task].isStopped != parent[task].isStopping
          || (parent[task].wasFinished && (worker[task].isSkipped || worker[task].isStopped))
      }
      #expect(differing == nil, "worker and parent do not agree on a task")
      // All of it has happened.
      #expect(parent.contains { $0.isRevoked } && parent.contains { $0.wasFinished })
    }

    /// Threads that compete for the right to read the answers, and Tasks that would like to.
    @Test(arguments: [4, 8])
    func threadsAndTasksThatWaitForOnePoolHaveEachItsOwnResults(threads: Int) async throws {
      try await withPool(workers: 2) { pool in
        let count = stress(1000)
        async let tasks = withThrowingTaskGroup(of: Int.self) { group in
          for _ in 0..<3 {
            group.addTask {
              var right = 0
              for n in 0..<count {
                if try await pool.submit(n, { $0 &* 3 }).value == n * 3 { right += 1 }
              }
              return right
            }
          }
          return try await group.reduce(0, +)
        }
        let right = try await onThreads(threads) { index -> Int in
          var right = 0
          for n in 0..<count {
            let future = pool.submit(index * count + n) { $0 &+ 1 }
            // With a time limit it leaves the answers to others.
            let value = n % 8 == 7 ? try future.wait(timeout: .seconds(patience)) : try future.wait()
            if value == index * count + n + 1 { right += 1 }
          }
          return right
        }
        #expect(right == Array(repeating: count, count: threads))
        try await #expect(tasks == 3 * count)
      }
    }
  }
}

/// A type of its own for every tag.
private struct Tagged<Tag, Value: Codable & Equatable>: Codable, Equatable {
  var value: Value
}
private enum Start {}
private enum Next<Tag> {}

/// Threads that encode and decode at the same time what none of them has encoded or decoded before.
@Suite struct CoderStressTests {
  @Test func typesMayBeNewToManyThreadsAtOnce() async throws {
    let rounds = max(2, stress(20))
    let threads = 8
    let line = StartingLine(threads)
    let counts = try await onThreads(threads) { index in
      var count = 0
      try Self.meetNewTypes(Start.self, 0..<rounds, index, line, &count)
      return count
    }
    #expect(counts == Array(repeating: rounds * 8 * 13, count: threads))
  }

  /// In every round the tag is another. All begin at the same time, half of them at the other end.
  @inline(never)
  private static func meetNewTypes<Tag>(
    _ tag: Tag.Type, _ rounds: Range<Int>, _ index: Int, _ line: StartingLine, _ count: inout Int
  ) throws {
    line.meet(round: rounds.lowerBound)
    for place in 0..<8 {
      switch index % 2 == 0 ? place : 7 - place {
      case 0: try travel(Tagged<Tag, Int>(value: index), 2, &count)
      case 1: try travel(Tagged<Tag, String>(value: "word \(index)"), 2, &count)
      case 2: try travel(Tagged<Tag, Double>(value: .pi), 2, &count)
      case 3: try travel(Tagged<Tag, Bool>(value: true), 2, &count)
      case 4: try travel(Tagged<Tag, [UInt8]>(value: [1, 2, 3]), 2, &count)
      case 5: try travel(Tagged<Tag, SIMD2<Float>>(value: [1, 2]), 2, &count)
      case 6: try travel(Tagged<Tag, Int16?>(value: nil), 2, &count)
      default: try travel(Tagged<Tag, [String: [Double]]>(value: ["a": [1, 2]]), 2, &count)
      }
    }
    let others = rounds.dropFirst()
    if !others.isEmpty { try meetNewTypes(Next<Tag>.self, others, index, line, &count) }
  }

  /// Sends a value as it is, and in containers, to as many levels as `depth`.
  @inline(never)
  private static func travel<T: Codable & Equatable>(_ value: T, _ depth: Int, _ count: inout Int) throws {
    let frame = OutgoingFrame(ChannelHeader(.returned), message: try PayloadCoder.shared.encode(value))
    let arrived = frame.payloadBytes.withUnsafeBytes { ReceivedFrame(frame.header, copying: $0) }
    guard try arrived.result(as: T.self).get() == value else { throw Lost(what: "\(T.self)") }
    count += 1
    guard depth > 0 else { return }
    try travel([value, value], depth - 1, &count)
    try travel(Optional(value), depth - 1, &count)
    try travel(["key": value], depth - 1, &count)
  }
}
#endif
