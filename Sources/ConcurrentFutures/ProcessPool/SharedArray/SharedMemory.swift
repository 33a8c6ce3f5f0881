#if os(Linux) || os(macOS)
import CProcessSupport
import Synchronization

/// A memory object that several processes can map, mapped here.
final class SharedMemory: @unchecked Sendable {
  /// Stays open, so that the object can be sent on.
  let descriptor: Int32
  let address: UnsafeMutableRawPointer
  let size: Int
  /// The same in every process.
  let number: UInt64
  private let wasSent = Atomic<Bool>(false)

  /// An object of at least one byte, filled with zeros.
  convenience init(size: Int) throws {
    let descriptor = cp_memory_object(max(1, size))
    guard descriptor >= 0 else { throw SharedMemoryError("shared memory of \(size) bytes cannot be made", cp_errno()) }
    try self.init(owning: descriptor, size: max(1, size))
  }

  /// Takes over a descriptor, also when it fails.
  init(owning descriptor: Int32, size: Int) throws {
    guard let address = cp_map(descriptor, 0, size) else {
      let number = cp_errno()
      cp_close(descriptor)
      throw SharedMemoryError("shared memory of \(size) bytes cannot be mapped", number)
    }
    self.descriptor = descriptor
    self.address = address
    self.size = size
    number = cp_memory_number(descriptor)
  }

  deinit {
    cp_unmap(address, size)
    cp_close(descriptor)
    if wasSent.load(ordering: .relaxed) { LivePools.forget(number) }
  }

  func willBeSent() { wasSent.store(true, ordering: .relaxed) }

  /// The object behind a descriptor that was received; takes it over. Objects that could shrink are refused: reading them could crash
  /// this process.
  static func received(_ descriptor: Int32) throws -> SharedMemory {
    // First whether it is a memory object at all: a file system that does not answer must not be asked for more.
    var size = 0
    guard cp_memory_object_is_fixed(descriptor, &size) else {
      cp_close(descriptor)
      throw SharedMemoryError("it is not a sealed memory object", 0)
    }
    if let known = SharedMemoryCache.find(cp_memory_number(descriptor)) {
      cp_close(descriptor)
      return known
    }
    let memory = try SharedMemory(owning: descriptor, size: size)
    SharedMemoryCache.keep(memory)
    return memory
  }
}

/// Why there is no shared memory.
struct SharedMemoryError: Error, CustomStringConvertible {
  let description: String

  init(_ what: String, _ number: Int32) {
    description = number == 0 ? what : "\(what): \(String(cString: cp_error_text(number)))"
  }
}

/// In a worker, what it has been sent: mapping memory again, page after page, would cost more than most work on it.
///
/// Few objects, the most recent ones. The parent says when it has given one up.
enum SharedMemoryCache {
  private static let most = 8
  private static let kept = Mutex<[SharedMemory]>([])
  private static let isWorker = Atomic<Bool>(false)

  /// Only workers keep anything: in a parent the user's objects decide.
  static func enable() { isWorker.store(true, ordering: .relaxed) }

  static func find(_ number: UInt64) -> SharedMemory? {
    guard isWorker.load(ordering: .relaxed) else { return nil }
    return kept.withLock { kept in
      guard let place = kept.firstIndex(where: { $0.number == number }) else { return nil }
      let memory = kept.remove(at: place)
      kept.append(memory)
      return memory
    }
  }

  static func keep(_ memory: SharedMemory) {
    guard isWorker.load(ordering: .relaxed) else { return }
    let dropped = kept.withLock { kept in
      kept.append(memory)
      return kept.count > most ? kept.removeFirst() : nil
    }
    _ = dropped
  }

  static func forgetAll() {
    let dropped = kept.withLock { kept in
      defer { kept = [] }
      return kept
    }
    _ = dropped
  }

  static func forget(_ number: UInt64) {
    let dropped = kept.withLock { kept in
      kept.firstIndex { $0.number == number }.map { kept.remove(at: $0) }
    }
    _ = dropped
  }
}

/// The pools of this process, to tell their workers of memory that is not used any more.
enum LivePools {
  private struct Entry: Sendable {
    weak let core: ProcessPoolCore?
  }

  private static let entries = Mutex<[Entry]>([])

  static func add(_ core: ProcessPoolCore) {
    entries.withLock { entries in
      if entries.count & 63 == 63 { entries.removeAll { $0.core == nil } }
      entries.append(Entry(core: core))
    }
  }

  static func forget(_ number: UInt64) {
    let cores = entries.withLock { $0.compactMap(\.core) }
    for core in cores {
      for worker in core.workers { worker.send(OutgoingFrame(ChannelHeader(.forget, task: number))) }
    }
  }
}
#endif
