#if os(Linux)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// What a worker that was taken over does while it should run its task.
enum Attack: String, Codable, Sendable, CaseIterable {
  // Against the rules: the worker is killed for it.
  case randomControl, randomEverything
  case headTooFar, headBackwards
  case unknownKind, otherDirection, twiceReady
  case answerTwice, answerInParts, unpackWhatIsWhole, answerOthers, startOthers, startTwice, skipOwn, failInitializer
  case announceDescriptors, foreignDescriptors, lingeringSocket
  case claimFinishedAndSpin
  // Within the rules: its time limit ends it.
  case tailTooFar, halfFrame, endlessFrames, endlessLongFrame, socketFlood, descriptorFlood, claimOfferedAndSpin

  var isViolation: Bool {
    switch self {
    case .tailTooFar, .halfFrame, .endlessFrames, .endlessLongFrame, .socketFlood, .descriptorFlood,
      .claimOfferedAndSpin:
      false
    default: true
    }
  }

  /// Whether it is only noticed when the task's time is up.
  var needsTimeLimit: Bool { !isViolation || self == .claimFinishedAndSpin }

  /// Never returns; opens a gate when it has happened, if it is one that comes to an end.
  func happen(announcingTo gate: SharedGate? = nil) -> Never {
    let channel = RogueChannel()
    var random = SeededGenerator(seed: UInt64(getpid()))
    let own = channel.ownTask
    func say(_ kind: ChannelHeader.Kind, slot: Int? = nil, task: UInt64? = nil) {
      channel.say(ChannelHeader(kind, slot: slot ?? own.slot, task: task ?? own.task))
    }
    let head = channel.rings.head.pointee
    switch self {
    case .randomControl:
      channel.scribble(from: 0, to: ChannelMemory.controlSize, &random)
    case .randomEverything:
      channel.scribbleRings(&random)
      channel.scribble(from: 512, to: ChannelMemory.controlSize, &random)
      channel.moveHead(to: head &+ 4096)
    case .headTooFar: channel.moveHead(to: head &+ UInt64(ChannelMemory.ringSize) + 8)
    case .headBackwards: channel.moveHead(to: head &- 8)
    case .tailTooFar:
      RingControl(base: channel.control).tail.pointee &+= 1 << 40
      channel.ring(times: 1)
    case .unknownKind: channel.say(ChannelHeader(.started), kind: 200)
    case .otherDirection: channel.say(ChannelHeader(.run))
    case .twiceReady: channel.say(ChannelHeader(.hello))
    case .answerTwice:
      say(.threwRemote)
      say(.threwRemote)
    case .answerInParts: channel.say(ChannelHeader(.returned, slot: own.slot, task: own.task, function: 3))
    case .unpackWhatIsWhole: say(.unpacked)
    case .answerOthers: say(.threwRemote, slot: own.slot + 1)
    case .startOthers: for slot in 0..<8 { say(.started, slot: slot) }
    case .startTwice: say(.started)
    case .skipOwn: say(.skipped)
    case .failInitializer: say(.refused, task: .max)
    case .announceDescriptors:
      var header = ChannelHeader(.returned, slot: own.slot, task: own.task)
      header.descriptors = 9
      channel.say(header)
    case .foreignDescriptors: channel.send(open("/dev/null", O_RDONLY), count: 40)
    case .lingeringSocket: Self.sendLingeringSocket(channel)
    case .claimFinishedAndSpin: _ = channel.claims.finish(own.slot)
    case .claimOfferedAndSpin: channel.claims.offer(own.slot)
    case .halfFrame:
      var header = ChannelHeader(.returned, slot: own.slot, task: own.task)
      header.length = 1000
      channel.say(header, publishing: 64)
    case .endlessFrames:
      while true {
        channel.waitForRoom()
        channel.say(ChannelHeader(.leaving))
      }
    case .endlessLongFrame:
      var header = ChannelHeader(.returned, slot: own.slot, task: own.task)
      header.length = 1 << 31
      channel.say(header, publishing: 32)
      while true {
        channel.waitForRoom()
        channel.moveHead(to: channel.rings.head.pointee &+ UInt64(ChannelMemory.ringSize / 4))
      }
    case .socketFlood: while true { channel.ring(times: 100) }
    case .descriptorFlood:
      let memory = try! SharedMemory(size: 1)
      while true { channel.send(memory.descriptor, count: 160) }
    }
    gate?.open()
    // Whoever is not stopped stays.
    stayForever()
  }

  /// To close this one for good waits an hour for what cannot be sent.
  private static func sendLingeringSocket(_ channel: RogueChannel) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let sender = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        _ = bind(listener, address, size)
        _ = listen(listener, 1)
        _ = getsockname(listener, address, &size)
        _ = connect(sender, address, size)
      }
    }
    _ = fcntl(sender, F_SETFL, O_NONBLOCK)
    let bytes = [UInt8](repeating: 0, count: 1 << 16)
    while send(sender, bytes, bytes.count, 0) > 0 {}
    var lingering = linger(l_onoff: 1, l_linger: 3600)
    setsockopt(sender, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
    channel.send(sender, count: 1, wait: true)
    close(sender)
  }
}

extension ProcessPools {
  /// A worker that has been taken over fails its own task, and nothing more.
  @Suite struct Rogue {
    @Test(arguments: Attack.allCases)
    func aRogueWorkerFailsItsOwnTaskOnly(_ attack: Attack) async throws {
      try await withPool(workers: 3) { pool in
        pool.core.patience = 300_000_000
        // While it happens, one worker is in the middle of a task, another has tasks to go on with, and some wait for its own.
        // The parent has taken all that the worker had said before: that could be overwritten.
        let neighbour = try await WorkerBlockade(pool)
        func others() -> [Future<Int>] { (0..<40).map { pool.submit($0) { $0 } } }
        for (n, future) in others().enumerated() { try await #expect(future.value == n) }
        let (begin, happened) = try (SharedGate(), SharedGate())
        // One that is only noticed then must have happened before.
        let timeIsUp = attack == .claimFinishedAndSpin
        let limit: Duration = attack.needsTimeLimit && !timeIsUp ? .milliseconds(500) : .seconds(patience)
        let rogue = pool.submit(attack, [begin, happened], timeout: limit) {
          (attack: Attack, gates: [SharedGate]) -> Int in
          gates[0].wait()
          attack.happen(announcingTo: gates[1])
        }
        await eventually { rogue.isRunning }
        let after = others()
        begin.open()
        if timeIsUp {
          await happened.opened()
          pool.core.endTimeLimits()
        }
        let error = await #expect(throws: (any Error).self) { try await rogue.value }
        if attack == .answerTwice {
          // Its first answer is its own affair.
          #expect(error is RemoteError)
        } else if attack.isViolation {
          let terminated = error as? WorkerTerminatedError
          #expect(terminated?.violation != nil, "\(String(describing: error))")
          #expect(terminated?.description.contains("broke the protocol") == true, "\(String(describing: error))")
        } else {
          #expect(error is TimeoutError, "\(String(describing: error))")
        }
        for (n, future) in after.enumerated() { try await #expect(future.value == n) }
        #expect(neighbour.holds)
        try await neighbour.end()
        // A death is still noticed, and the pool goes on.
        await #expect(throws: WorkerTerminatedError.self) {
          try await pool.submit(1) { (_: Int) -> Int in abort() }.value
        }
        try await #expect(pool.submit(5) { $0 }.value == 5)
      }
    }

    /// Short tasks are handed out ahead. However the claim words look, they are given back.
    @Test(arguments: [false, true])
    func tasksThatWereHandedAheadRunElsewhere(_ breaksTheRules: Bool) async throws {
      try await withPool(workers: 1) { pool in
        try await pool.start()
        pool.core.handOutAhead(5)
        let handedOut = try SharedGate()
        let rogue = pool.submit(breaksTheRules, handedOut) { (breaksTheRules: Bool, handedOut: SharedGate) -> Int in
          handedOut.wait()
          let channel = RogueChannel()
          for slot in 0..<ClaimTable.count { channel.claims.words[slot] = 2 }
          if breaksTheRules { channel.say(ChannelHeader(.hello)) } else { exit(7) }
          stayForever()
        }
        let others = (0..<300).map { pool.submit($0) { $0 + 1 } }
        #expect(pool.core.inFlight == 5)
        handedOut.open()
        let error = await #expect(throws: WorkerTerminatedError.self) { try await rogue.value }
        #expect(error?.reason == (breaksTheRules ? .signalled(SIGKILL) : .exited(7)))
        for (n, future) in others.enumerated() { try await #expect(future.value == n + 1) }
      }
    }

    @Test func cancellingEndsAWorkerThatHidesBehindItsClaimWord() async throws {
      try await withPool(workers: 1) { pool in
        pool.core.patience = 200_000_000
        for attack in [Attack.claimFinishedAndSpin, .claimOfferedAndSpin] {
          let process = try await pool.submit { getpid() }.value
          let (begin, happened) = try (SharedGate(), SharedGate())
          let rogue = pool.submit(attack, [begin, happened]) { (attack: Attack, gates: [SharedGate]) -> Int in
            gates[0].wait()
            attack.happen(announcingTo: gates[1])
          }
          await eventually { rogue.isRunning }
          begin.open()
          await happened.opened()
          #expect(rogue.cancel())
          await eventually("\(attack)") { !isAlive(process) }
          try await #expect(pool.submit(1) { $0 }.value == 1)
        }
      }
    }

    /// An answer that comes out of turn is none.
    @Test(arguments: [1, 0])
    func everyElementOfAChunkEndsWhateverItsWorkerSays(_ toCome: Int) async throws {
      try await withPool(workers: 1) { pool in
        pool.core.patience = 300_000_000
        let function = try FunctionRegistry.closure1(
          { @Sendable (lie: Int) -> Int in
            if lie >= 0 {
              let channel = RogueChannel()
              let own = channel.ownTask
              channel.say(ChannelHeader(.returned, slot: own.slot, task: own.task, function: UInt32(lie)))
              stayForever()
            }
            return lie
          }, .each)
        let feed = ElementFeed<Int, Int, Int>(
          function, pool.core, mostInFlight: nil, timeout: nil, retries: 0, unpack: { $0 })
        let group = ElementGroup(pool.core)
        let futures = (0..<3).map { _ in Future<Int>(producer: group, cancellableWhileRunning: true) }
        feed.send([toCome, -2, -3], futures, group, retries: 0, attempts: 0, wasAccepted: false)
        var outcomes: [String] = []
        for future in futures {
          do { outcomes.append("\(try await future.value)") } catch { outcomes.append("\(type(of: error))") }
        }
        // A last answer before its time ends the chunk, of which nothing more is known; any other ends the worker.
        let expected =
          toCome == 0 ? Array(repeating: "TaskEncodingError", count: 3) : ["WorkerTerminatedError", "-2", "-3"]
        #expect(outcomes == expected)
      }
    }

    /// It is told to go, and does not.
    @Test func shutdownKillsAWorkerThatStays() async throws {
      let pool = makePool(workers: 1)
      pool.core.patience = 300_000_000
      let process = try await pool.submit { getpid() }.value
      try await stop(process)
      await pool.shutdown()
      #expect(!isAlive(process))
    }

    /// A process that it has started and that has left its group has the memory, the socket and the standard error still.
    @Test func whatARogueWorkerLeavesBehindIsNotReadForEver() async throws {
      try await withPool(workers: 1) { pool in
        let seen = try await pool.submit { () -> String in
          // The flood goes to nobody's terminal.
          dup2(open("/dev/null", O_WRONLY), 2)
          let inner = makePool(workers: 1)
          defer { inner.shutdownAndWait() }
          let rogue = inner.submit(1) { (_: Int) -> Int in
            let channel = RogueChannel()
            let floods = try SharedGate()
            let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> Int32).self)
            if fork() == 0 {
              setsid()
              alarm(10)
              let line = StaticString("rubbish\n")
              while true {
                if channel.rings.head.pointee &- channel.rings.tail.pointee < UInt64(ChannelMemory.ringSize / 2) {
                  channel.say(ChannelHeader(.leaving))
                }
                _ = write(2, line.utf8Start, 8)
                floods.open()
              }
            }
            floods.wait()
            exit(6)
          }
          do { return "\(try rogue.wait())" } catch let error as WorkerTerminatedError {
            return "\(error.reason) \(try inner.submit(8) { $0 }.wait())"
          }
        }.value
        #expect(seen == "exited with code 6 8")
      }
    }

    /// Standard error without end, to where it is taken without end.
    @Test func standardErrorWithoutEndDelaysNobody() async throws {
      try await withPool(workers: 1) { pool in
        let sum = try await pool.submit { () -> Int in
          dup2(open("/dev/null", O_WRONLY), 2)
          let inner = makePool(workers: 2)
          defer { inner.shutdownAndWait() }
          let flood = inner.submit(1, timeout: .milliseconds(700)) { (_: Int) -> Int in
            let bytes = [UInt8](repeating: 65, count: 1 << 16)
            while true { _ = write(2, bytes, bytes.count) }
          }
          let sum = try gather((0..<200).map { inner.submit($0) { $0 } }).wait().reduce(0, +)
          do { return try flood.wait() } catch is TimeoutError { return sum }
        }.value
        #expect(sum == 199 * 100)
      }
    }
  }
}
#endif
