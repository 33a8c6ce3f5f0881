#if os(Linux) || os(macOS)
import CProcessSupport

/// The memory that a parent and one worker share: a control block and a ring of bytes for each direction.
///
/// The worker may be compromised, so the parent takes nothing here at its word: positions are checked before they are used,
/// and payloads are copied out before they are decoded. The memory object is sealed, so that it cannot be shrunk under a
/// reader.
///
/// | offset | what |
/// |---:|---|
/// | 0 | positions and sleep flags of the ring to the worker, a cache line each |
/// | 256 | the same of the ring to the parent |
/// | 512 | the parent's request that the worker stop |
/// | 576 | the parent's request that the worker hand back what it has not begun of a chunk |
/// | 1024 | claim words: one for each task in flight (see ``ClaimTable``) |
/// | 32768 | the ring to the worker |
/// | 32768 + ring size | the ring to the parent |
struct ChannelMemory: @unchecked Sendable {
  static let controlSize = 32768
  static let ringSize = 512 * 1024
  static let totalSize = controlSize + 2 * ringSize

  let control: UnsafeMutableRawPointer
  let toWorker: UnsafeMutableRawPointer
  let toParent: UnsafeMutableRawPointer

  /// Maps the three parts; nil with `errno` where the system refuses.
  init?(descriptor: Int32) {
    guard let control = cp_map(descriptor, 0, Self.controlSize) else { return nil }
    guard let toWorker = cp_map_ring(descriptor, off_t(Self.controlSize), Self.ringSize) else {
      cp_unmap(control, Self.controlSize)
      return nil
    }
    guard let toParent = cp_map_ring(descriptor, off_t(Self.controlSize + Self.ringSize), Self.ringSize) else {
      cp_unmap(control, Self.controlSize)
      cp_unmap(toWorker, 2 * Self.ringSize)
      return nil
    }
    self.control = control
    self.toWorker = toWorker
    self.toParent = toParent
  }

  func unmap() {
    cp_unmap(control, Self.controlSize)
    cp_unmap(toWorker, 2 * Self.ringSize)
    cp_unmap(toParent, 2 * Self.ringSize)
  }

  var toWorkerControl: RingControl { RingControl(base: control) }
  var toParentControl: RingControl { RingControl(base: control + 256) }
  /// Not zero: the parent asks the worker to stop what it runs, and to end.
  var stopRequest: UnsafeMutablePointer<UInt32> { (control + 512).assumingMemoryBound(to: UInt32.self) }
  /// Not zero: the parent wants no more elements of a chunk to be begun.
  var handBackRequest: UnsafeMutablePointer<UInt32> { (control + 576).assumingMemoryBound(to: UInt32.self) }
  var claims: ClaimTable { ClaimTable(words: (control + 1024).assumingMemoryBound(to: UInt32.self)) }
}

/// The shared words of one ring.
///
/// **Sleeping without losing a wake-up.** Who is about to sleep raises its flag, fences, and looks at the positions once more; who moves a
/// position publishes it, fences, and looks at the flag. Of these two looks at least one sees the other's write, so either
/// the sleeper does not sleep or it is woken.
struct RingControl: @unchecked Sendable {
  let base: UnsafeMutableRawPointer

  /// Bytes ever written, by the producer.
  var head: UnsafeMutablePointer<UInt64> { base.assumingMemoryBound(to: UInt64.self) }
  /// Bytes ever consumed, by the consumer.
  var tail: UnsafeMutablePointer<UInt64> { (base + 64).assumingMemoryBound(to: UInt64.self) }
  /// The consumer sleeps: ring its doorbell after writing.
  var consumerSleeps: UnsafeMutablePointer<UInt32> { (base + 128).assumingMemoryBound(to: UInt32.self) }
  /// The producer wants room: ring its doorbell after consuming.
  var producerWaits: UnsafeMutablePointer<UInt32> { (base + 192).assumingMemoryBound(to: UInt32.self) }

  /// Whether the consumer slept and this call has taken on to wake it.
  @inline(__always) func takeSleepingConsumer() -> Bool {
    cp_fence()
    return cp_load32(consumerSleeps) != 0 && cp_exchange32(consumerSleeps, 0) != 0
  }

  /// Whether the producer waits for room and this call has taken on to wake it.
  @inline(__always) func takeWaitingProducer() -> Bool {
    cp_fence()
    return cp_load32(producerWaits) != 0 && cp_exchange32(producerWaits, 0) != 0
  }
}

/// One word for each task that is in flight to a worker: who may have it.
///
/// ```
/// offered -> started -> finished        the worker's steps
/// offered -> revoked                    the parent's: cancelled, or wanted elsewhere
/// started -> stopping                   the parent's: the worker is to end
/// ```
/// Every step is a compare-and-swap, so exactly one of two that race wins: a revoked task never starts; a started one is
/// known to have started even when its worker dies in the next instruction; and a worker that is being stopped runs nothing
/// after the task that it is stopped for.
struct ClaimTable: @unchecked Sendable {
  static let count = 4096
  private static let offered: UInt32 = 1
  private static let started: UInt32 = 2
  private static let finished: UInt32 = 3
  private static let revoked: UInt32 = 4
  private static let stopping: UInt32 = 5

  enum TakenBack { case revoked, stopping, finished }

  let words: UnsafeMutablePointer<UInt32>

  // The parent's.
  func offer(_ slot: Int) { cp_store32(words + slot, Self.offered) }
  func revoke(_ slot: Int) -> Bool { cp_exchange_if32(words + slot, Self.offered, Self.revoked) }
  func takeBack(_ slot: Int) -> TakenBack {
    if revoke(slot) { return .revoked }
    return cp_exchange_if32(words + slot, Self.started, Self.stopping) ? .stopping : .finished
  }
  func hasStarted(_ slot: Int) -> Bool { cp_load32(words + slot) != Self.offered }

  // The worker's.
  func claim(_ slot: Int) -> Bool { cp_exchange_if32(words + slot, Self.offered, Self.started) }
  /// False: the worker is being stopped.
  func finish(_ slot: Int) -> Bool { cp_exchange_if32(words + slot, Self.started, Self.finished) }
}
#endif
