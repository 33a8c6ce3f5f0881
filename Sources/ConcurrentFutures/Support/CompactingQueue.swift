/// A first-in, first-out queue that lets go of each element as it is taken, and of the room of those that were taken when it
/// is more than half of all: also if the queue is never empty. All operations are O(1), amortised.
struct CompactingQueue<Element> {
  private var elements: [Element?] = []
  private var taken = 0

  var count: Int { elements.count - taken }

  /// The one that comes next.
  var first: Element? { taken < elements.count ? elements[taken] : nil }

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func popFirst() -> Element? {
    guard taken < elements.count else { return nil }
    let first = elements[taken].take()
    taken += 1
    if taken == elements.count {
      elements.removeAll(keepingCapacity: elements.count <= 1024)
      taken = 0
    } else if taken > 32 && taken * 2 > elements.count {
      elements.removeFirst(taken)
      taken = 0
    }
    return first
  }

  /// Takes all that there are.
  mutating func removeAll() -> [Element] {
    defer { self = CompactingQueue() }
    return elements[taken...].compactMap(\.self)
  }
}
