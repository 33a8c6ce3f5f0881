#if os(Linux)
import FuturesTestLibc
import Testing

@testable import ConcurrentFutures

/// A worker that has been taken over, in its own process: the channel's memory, as anybody finds it there, and its socket.
struct RogueChannel {
  static let socket: Int32 = 3
  let control: UnsafeMutableRawPointer
  private let toWorker: UnsafeMutableRawPointer
  private let toParent: UnsafeMutableRawPointer

  init() {
    let maps = Self.maps()
    func address(of offset: UInt) -> UnsafeMutableRawPointer {
      let region = maps.first { $0.offset <= offset && offset < $0.offset + $0.size }!
      return UnsafeMutableRawPointer(bitPattern: region.start + (offset - region.offset))!
    }
    control = address(of: 0)
    toWorker = address(of: UInt(ChannelMemory.controlSize))
    toParent = address(of: UInt(ChannelMemory.controlSize + ChannelMemory.ringSize))
  }

  /// Those of the channel: of all the shared memory here, only its rings are mapped from elsewhere than the start.
  private static func maps() -> [Region] {
    let all = allMaps()
    let channel = all.first { $0.offset > 0 }?.file
    return all.filter { $0.file == channel }
  }

  private typealias Region = (start: UInt, size: UInt, offset: UInt, file: Substring)

  private static func allMaps() -> [Region] {
    let file = fopen("/proc/self/maps", "r")!
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var room = 0
    var found: [Region] = []
    while getline(&line, &room, file) > 0 {
      let text = String(cString: line!)
      guard text.contains("memfd:concurrent-futures") else { continue }
      let fields = text.split(separator: " ")
      let range = fields[0].split(separator: "-").map { UInt($0, radix: 16)! }
      found.append((range[0], range[1] - range[0], UInt(fields[2], radix: 16)!, fields[4]))
    }
    free(line)
    return found
  }

  private var ring: Int { ChannelMemory.ringSize }
  var rings: RingControl { RingControl(base: control + 256) }
  var claims: ClaimTable { ClaimTable(words: (control + 1024).assumingMemoryBound(to: UInt32.self)) }

  /// The frame that this worker is working on: it is given back when its task has ended.
  var ownTask: ChannelHeader {
    let tail = RingControl(base: control).tail.pointee
    return ChannelHeader(from: toWorker + Int(tail) % ring)!
  }

  /// Says something, whole or in part.
  func say(_ header: ChannelHeader, kind: UInt8? = nil, publishing bytes: UInt64? = nil) {
    let head = rings.head.pointee
    let place = toParent + Int(head) % ring
    header.store(to: place)
    if let kind { place.storeBytes(of: kind, toByteOffset: 4, as: UInt8.self) }
    moveHead(to: head &+ (bytes ?? UInt64(header.paddedSize)))
  }

  func moveHead(to position: UInt64) {
    rings.head.pointee = position
    ring(times: 1)
  }

  func ring(times: Int) {
    var byte: UInt8 = 1
    for _ in 0..<times { Glibc.send(Self.socket, &byte, 1, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
  }

  /// Where a next frame would stand if the parent gave back what it has read: waits until there is room.
  func waitForRoom() {
    while rings.head.pointee &- rings.tail.pointee > UInt64(ring / 2) { ring(times: 1) }
  }

  /// Fills a stretch of the control block with random bytes.
  func scribble(from start: Int, to end: Int, _ random: inout SeededGenerator) {
    for offset in stride(from: start, to: end, by: 8) {
      control.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
    }
  }

  func scribbleRings(_ random: inout SeededGenerator) {
    for offset in stride(from: 0, to: ring, by: 8) {
      toParent.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
      toWorker.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Sends copies of a descriptor, as many as the socket takes.
  func send(_ descriptor: Int32, count: Int, wait: Bool = false) {
    let message = Array(repeating: descriptor, count: 16)
    var byte = ChannelByte.descriptors.rawValue
    var sent = 0
    while sent < count {
      let now = min(16, count - sent)
      if sendDescriptors(Self.socket, &byte, message, now, wait: wait) { sent += now } else if !wait { return }
    }
  }
}

/// sendmsg with descriptors, as the macros of C lay them out.
private func sendDescriptors(
  _ socket: Int32, _ byte: UnsafeMutableRawPointer, _ descriptors: [Int32], _ count: Int, wait: Bool
) -> Bool {
  var part = iovec(iov_base: byte, iov_len: 1)
  let length = 16 + 4 * count
  return withUnsafeTemporaryAllocation(byteCount: (length + 7) & ~7, alignment: 8) { control in
    control.initializeMemory(as: UInt8.self, repeating: 0)
    control.storeBytes(of: length, as: Int.self)
    control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
    control.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)
    for index in 0..<count {
      control.storeBytes(of: descriptors[index], toByteOffset: 16 + 4 * index, as: Int32.self)
    }
    return withUnsafeMutablePointer(to: &part) { part in
      var message = msghdr()
      message.msg_iov = part
      message.msg_iovlen = 1
      message.msg_control = control.baseAddress
      message.msg_controllen = numericCast(control.count)
      let flags = Int32(wait ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT)
      return sendmsg(socket, &message, flags) == 1
    }
  }
}
#endif
