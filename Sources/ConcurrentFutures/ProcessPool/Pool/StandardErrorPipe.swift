#if os(Linux) || os(macOS)
import CProcessSupport

/// A worker's standard error: forwarded to ours, and its end remembered.
struct StandardErrorPipe {
  let descriptor: Int32
  private var tail: [UInt8] = []
  /// What the tail has up to here was written before the last task ended, and does not belong to the next.
  private var mark = 0
  /// What the tail has up to here was written before anything that the worker has still to say.
  private var certain = 0
  private(set) var isOpen = true
  /// Read, and not yet taken by our own standard error.
  private var held: [UInt8] = []
  private static let tailSize = 4096
  /// Pieces of 4 KiB in one call: a worker that never stops writing leaves time for the others.
  private static let mostPieces = 16
  /// At the end, more than any pipe holds (1 MiB): another process may have the worker's end and go on writing.
  private static let mostPiecesAtEnd = 288

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Whether our own standard error would take it, or nobody reads that any more.
  static var mayForward: Bool { cp_is_writable(2) != 0 }

  var holdsSomething: Bool { !held.isEmpty }

  /// The worker had said nothing more when the tail was as it is now.
  mutating func nothingElseWasSaid() { certain = tail.count }
  /// Words and answers come on different ways: what came in between may be the next task's, and counts as that.
  mutating func taskEnded() { mark = certain }

  /// The last of what was written since the last task ended; maybe some of its words, too, but all of the next one's.
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
      for _ in 0..<(atEnd ? Self.mostPiecesAtEnd : Self.mostPieces) where isOpen {
        guard forwardHeld() || atEnd else { return }
        let count = cp_read(descriptor, buffer.baseAddress!, buffer.count)
        if count <= 0 {
          if count == 0 || !cp_would_block() { isOpen = false }
          return
        }
        let piece = UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)
        remember(piece)
        held = Array(piece)
      }
      _ = forwardHeld()
      if atEnd { isOpen = false }
    }
  }

  /// Whether there is nothing left to forward.
  private mutating func forwardHeld() -> Bool {
    switch cp_is_writable(2) {
    case 0: return false
    case 1: break
    // Nobody will ever read it.
    default: held = []
    }
    if held.isEmpty { return true }
    let count = held.withUnsafeBytes { cp_write_now(2, $0.baseAddress!, $0.count) }
    if count < 0, !cp_would_block() { held = [] } else { held.removeFirst(max(0, count)) }
    return held.isEmpty
  }

  private mutating func remember(_ bytes: UnsafeRawBufferPointer) {
    tail.append(contentsOf: bytes)
    if tail.count > 4 * Self.tailSize {
      let surplus = tail.count - Self.tailSize
      tail.removeFirst(surplus)
      mark = max(0, mark - surplus)
      certain = max(0, certain - surplus)
    }
  }
}
#endif
