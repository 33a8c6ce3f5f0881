/// The second way to encode, for values that write to several open containers in turn.
///
///     var a = container.nestedContainer(keyedBy: Keys.self, forKey: .a)
///     var b = container.nestedContainer(keyedBy: Keys.self, forKey: .b)
///     try a.encode(1, forKey: .x)     // `a` was closed when `b` was opened
///
/// Streaming cannot do this, and cannot know of it before it happens. It is rare, so the encoder then starts again with
/// an output for each value, put together at the end. Keys that are written twice come here too: the last value wins.
final class DeferredNodes {
  final class Node {
    var buffer = ByteBuffer()
    /// Which nodes lie within this one, and before which of its bytes.
    var splices: [(offset: Int, node: Int32)] = []
    /// Where the entries of a keyed container begin.
    var entries: [(key: Int, start: Int)] = []

    func truncate(spliceCount: Int, entryCount: Int) {
      splices.removeLast(splices.count - spliceCount)
      entries.removeLast(entries.count - entryCount)
    }
  }

  private var nodes: [Node] = []

  subscript(index: Int32) -> Node { nodes[Int(index)] }

  func append(splicedInto parent: Int32, at offset: Int) {
    if parent >= 0 { self[parent].splices.append((offset: offset, node: Int32(nodes.count))) }
    nodes.append(Node())
  }

  /// Appends a node with everything in it. The depth is bounded by the encoder's limit of levels.
  func flatten(_ index: Int32, frames: UnsafeMutablePointer<EncodingFrame>, into out: inout ByteBuffer) {
    let node = self[index]
    var frame = frames[Int(index)]
    frame.start = out.count
    switch frame.kind {
    case .empty:
      WireWriter.appendEmptyKeyed(to: &out)
    case .value:
      copy(0..<node.buffer.count, of: node, frames, into: &out)
    case .unkeyed:
      WireWriter.openContainer(frame, in: &out)
      copy(0..<node.buffer.count, of: node, frames, into: &out)
      WireWriter.closeContainer(frame, in: &out)
    case .keyed:
      WireWriter.openContainer(frame, in: &out)
      var lastEntry: [Int: Int] = [:]
      for (place, entry) in node.entries.enumerated() { lastEntry[entry.key] = place }
      for (place, entry) in node.entries.enumerated() where lastEntry[entry.key] == place {
        let end = place + 1 < node.entries.count ? node.entries[place + 1].start : node.buffer.count
        copy(entry.start..<end, of: node, frames, into: &out)
      }
      WireWriter.closeContainer(frame, in: &out)
    }
  }

  private func copy(
    _ range: Range<Int>, of node: Node, _ frames: UnsafeMutablePointer<EncodingFrame>, into out: inout ByteBuffer
  ) {
    var offset = range.lowerBound
    // A child's offset lies behind the key or element that leads to it, never at the start of the next entry.
    var next = node.splices.partitioningIndex { $0.offset > range.lowerBound || range.lowerBound == 0 }
    while next < node.splices.count, node.splices[next].offset <= range.upperBound {
      let splice = node.splices[next]
      out.append(UnsafeRawBufferPointer(rebasing: node.buffer.bytes[offset..<splice.offset]))
      flatten(splice.node, frames: frames, into: &out)
      offset = splice.offset
      next += 1
    }
    out.append(UnsafeRawBufferPointer(rebasing: node.buffer.bytes[offset..<range.upperBound]))
  }
}

extension Array {
  /// The first index whose element satisfies `predicate`, if all that follow do too.
  fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
