#if os(Linux) || os(macOS)
import CProcessSupport

/// What the single bytes on a worker's socket say. Everything else goes through the rings.
enum ChannelByte: UInt8 {
  /// Look at the rings.
  case doorbell = 1
  /// The descriptors of the next frame that has some.
  case descriptors = 2
}

/// Descriptors that have arrived ahead of the frames that they belong to, in order.
struct DescriptorInbox {
  /// Those that came together, for one frame. Nil: this process had no room for all of them in its table of descriptors.
  private var batches: [[Int32]?] = []
  /// How many there are in all.
  private var count = 0
  /// More are closed as they come: a worker could otherwise use up its parent's descriptors.
  private let most: Int
  /// Something else than a memory object has come, which no worker of ours sends. It was closed.
  private(set) var hasReceivedForeign = false

  init(most: Int = .max) { self.most = most }

  var isEmpty: Bool { batches.isEmpty }

  /// As many messages as a socket holds at a time, and more: who sends without end is heard no longer than that.
  private static var mostMessages: Int { 1024 }

  /// Reads what the socket has; with `wait`, at least something. False at its end, and after an error, which means the same.
  mutating func receive(_ socket: Int32, wait: Bool) -> Bool {
    var foreign: [Int32] = []
    let isOpen = receive(socket, wait: wait, &foreign)
    if !foreign.isEmpty {
      hasReceivedForeign = true
      cp_close_foreign(foreign, foreign.count)
    }
    return isOpen
  }

  private mutating func receive(_ socket: Int32, wait: Bool, _ foreign: inout [Int32]) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { bytes in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: 16) { numbers in
        var wait = wait
        for _ in 0..<Self.mostMessages {
          var count: Int32 = 16
          var lost = false
          let received = cp_receive(socket, bytes.baseAddress!, bytes.count, numbers.baseAddress!, &count, &lost, wait)
          if count > 0 || lost { add(UnsafeMutableBufferPointer(rebasing: numbers[..<Int(count)]), lost, &foreign) }
          if received < 0 { return cp_would_block() }
          if received == 0 { return false }
          wait = false
          // Fewer bytes than asked for, and no descriptors to stop at: there is no more.
          if count == 0, !lost, received < bytes.count { return true }
        }
        return true
      }
    }
  }

  /// Some that have come together.
  private mutating func add(_ numbers: UnsafeMutableBufferPointer<Int32>, _ lost: Bool, _ foreign: inout [Int32]) {
    foreign += numbers.filter { !cp_is_memory_object($0) }
    let taken = numbers.filter { cp_is_memory_object($0) }
    // Each batch counts for one at least, so that those that hold nothing are not without end either.
    guard count + batches.count + taken.count < most else {
      for descriptor in taken { cp_close(descriptor) }
      return
    }
    if lost {
      for descriptor in taken { cp_close(descriptor) }
      batches.append(nil)
    } else {
      count += taken.count
      batches.append(taken)
    }
  }

  /// Sends a message's descriptors ahead of its frame. False when nothing was sent.
  static func send(_ message: EncodedMessage, to socket: Int32, wait: Bool) -> Bool {
    var byte = ChannelByte.descriptors.rawValue
    let numbers = message.attachments.map(\.descriptor)
    return cp_send(socket, &byte, 1, numbers, Int32(numbers.count), wait) == 1
  }

  /// As many descriptors as one message of a socket carries.
  static var mostInOneMessage: Int { 16 }

  /// The descriptors of the next frame that has some; nil if some of them were lost. There must be some.
  mutating func take() -> [Int32]? {
    let taken = batches.removeFirst()
    count -= taken?.count ?? 0
    return taken
  }

  mutating func closeAll() {
    for batch in batches { for descriptor in batch ?? [] { cp_close(descriptor) } }
    batches = []
    count = 0
  }
}
#endif
