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
  private var descriptors: [Int32] = []
  /// More are closed as they come: a worker could otherwise use up its parent's descriptors.
  private let most: Int
  /// Something else than a memory object has come, which no worker of ours sends. It was closed.
  private(set) var hasReceivedForeign = false

  init(most: Int = .max) { self.most = most }

  var count: Int { descriptors.count }

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
          let received = cp_receive(socket, bytes.baseAddress!, bytes.count, numbers.baseAddress!, &count, wait)
          for index in 0..<Int(count) {
            if !cp_is_memory_object(numbers[index]) {
              foreign.append(numbers[index])
            } else if descriptors.count < most {
              descriptors.append(numbers[index])
            } else {
              cp_close(numbers[index])
            }
          }
          if received < 0 { return cp_would_block() }
          if received == 0 { return false }
          wait = false
          // Fewer bytes than asked for, and no descriptors to stop at: there is no more.
          if count == 0, received < bytes.count { return true }
        }
        return true
      }
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

  mutating func take(_ count: Int) -> [Int32] {
    let taken = Array(descriptors.prefix(count))
    descriptors.removeFirst(count)
    return taken
  }

  mutating func closeAll() {
    for descriptor in descriptors { cp_close(descriptor) }
    descriptors = []
  }
}
#endif
