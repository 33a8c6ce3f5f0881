import CPlatformSupport
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What waits for which point of time: the pure part of ``Timers``, a binary heap with cancellation.
struct TimerHeap {
  final class Entry: @unchecked Sendable {
    let deadline: Deadline
    /// Taken by whoever fires or cancels. Guarded by the owner's lock.
    fileprivate(set) var body: (@Sendable () -> Void)?

    init(deadline: Deadline, body: @escaping @Sendable () -> Void) {
      self.deadline = deadline
      self.body = body
    }
  }

  private var entries: [Entry] = []
  private var cancelled = 0

  var earliest: Deadline? { entries.first?.deadline }
  var count: Int { entries.count - cancelled }

  /// Whether the new entry is the earliest, so that the sleeper must be woken.
  mutating func insert(_ entry: Entry) -> Bool {
    entries.append(entry)
    siftUp(entries.count - 1)
    return entries[0] === entry
  }

  /// What it held, to be released outside the lock. O(1), and now and then O(n) to forget the cancelled ones.
  mutating func cancel(_ entry: Entry) -> (@Sendable () -> Void)? {
    guard let body = entry.body.take() else { return nil }
    cancelled += 1
    if cancelled > 64 && cancelled * 2 > entries.count { removeCancelled() }
    return body
  }

  /// The body of the first entry that is due; nil when none is.
  mutating func takeDue(at now: UInt64) -> (@Sendable () -> Void)? {
    while let first = entries.first, first.body == nil || first.deadline.nanoseconds <= now {
      removeFirst()
      if let body = first.body.take() { return body }
      cancelled -= 1
    }
    return nil
  }

  private mutating func removeCancelled() {
    entries.removeAll { $0.body == nil }
    cancelled = 0
    for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
  }

  private mutating func removeFirst() {
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    if !entries.isEmpty { siftDown(0) }
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      if entries[parent].deadline <= entries[index].deadline { return }
      entries.swapAt(parent, index)
      index = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var index = start
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < entries.count {
        if entries[child].deadline < entries[least].deadline { least = child }
      }
      if least == index { return }
      entries.swapAt(index, least)
      index = least
    }
  }
}

/// Deadlines of the whole library: one thread that sleeps until the earliest.
///
/// It is a plain thread and not a Dispatch timer, because it also rescues pools whose workers wait for a thread of Dispatch
/// that does not come (``ThreadPool``). Bodies run on it and must be short; nothing of the user's runs here.
enum Timers {
  /// Cancels one scheduled body.
  struct Token: Sendable {
    fileprivate let entry: TimerHeap.Entry

    /// The body will not run, unless it is running already; what it captured is released.
    func cancel() { Timers.cancel(entry) }
  }

  private struct State {
    var heap = TimerHeap()
    var hasThread = false
  }

  private static let state = Mutex(State())
  /// The futex word that the thread sleeps on: changes whenever there is a new earliest deadline.
  nonisolated(unsafe) private static let generation: UnsafeMutablePointer<UInt32> = {
    let word = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
    word.initialize(to: 0)
    return word
  }()

  static func schedule(at deadline: Deadline, _ body: @escaping @Sendable () -> Void) -> Token {
    let entry = TimerHeap.Entry(deadline: deadline, body: body)
    let (wake, start) = state.withLock { state in
      let isEarliest = state.heap.insert(entry)
      let start = !state.hasThread
      state.hasThread = true
      if isEarliest { _ = cf_exchange(generation, cf_load_relaxed(generation) &+ 1) }
      return (isEarliest && !start, start)
    }
    if start { startThread() }
    if wake { cf_wake(generation, false) }
    return Token(entry: entry)
  }

  static func schedule(after duration: Duration, _ body: @escaping @Sendable () -> Void) -> Token {
    schedule(at: Deadline(after: duration), body)
  }

  private static func cancel(_ entry: TimerHeap.Entry) {
    let body = state.withLock { $0.heap.cancel(entry) }
    _ = body
  }

  private static func startThread() {
    let started = startDetachedThread(name: "futures-timer") {
      while true {
        let (body, seen, wait) = state.withLock { state in
          let now = cf_now()
          let body = state.heap.takeDue(at: now)
          return (body, cf_load_relaxed(generation), state.heap.earliest?.remaining ?? -1)
        }
        if let body { body() } else { cf_wait(generation, seen, wait) }
      }
    }
    // The next deadline tries again.
    if !started { state.withLock { $0.hasThread = false } }
  }
}
