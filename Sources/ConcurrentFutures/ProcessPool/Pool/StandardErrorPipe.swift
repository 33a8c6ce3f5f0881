#if os(Linux) || os(macOS)
import CProcessSupport

/// A worker's standard error: forwarded to ours, and its end remembered.
struct StandardErrorPipe {
  let descriptor: Int32
  private var tail: [UInt8] = []
  /// What the tail held when the last task had ended does not belong to the next.
  private var mark = 0
  private(set) var isOpen = true
  private static let tailSize = 4096

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Whether our own standard error would take it.
  static var mayForward: Bool { cp_is_writable(2) }

  mutating func taskEnded() { mark = tail.count }

  /// The last of what was written since the last task ended.
  var text: String {
    let bytes = tail.suffix(max(0, tail.count - mark)).suffix(Self.tailSize)
    var text = String(decoding: bytes, as: UTF8.self)
    while text.last?.isNewline == true { text.removeLast() }
    return text
  }

  /// Forwards what has come, without ever waiting: while our own standard error takes nothing, the pipe fills up and the
  /// worker waits, as it would without us in between. At the worker's end everything is read, and what cannot be forwarded is dropped.
  mutating func pump(atEnd: Bool = false) {
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
      while isOpen {
        // A pipe that is writable takes PIPE_BUF bytes (4096) at once.
        let mayForward = cp_is_writable(2)
        guard mayForward || atEnd else { return }
        let count = cp_read(descriptor, buffer.baseAddress!, buffer.count)
        if count <= 0 {
          if count == 0 || !cp_would_block() { isOpen = false }
          return
        }
        if mayForward { _ = cp_write(2, buffer.baseAddress!, count) }
        remember(UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
      }
    }
  }

  private mutating func remember(_ bytes: UnsafeRawBufferPointer) {
    tail.append(contentsOf: bytes)
    if tail.count > 4 * Self.tailSize {
      let surplus = tail.count - Self.tailSize
      tail.removeFirst(surplus)
      mark = max(0, mark - surplus)
    }
  }
}
#endif
