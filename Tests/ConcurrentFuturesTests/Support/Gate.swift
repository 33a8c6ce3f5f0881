import Dispatch
import Synchronization
import Testing

/// How many seconds a test waits for what must happen before it calls that a failure. Never part of what is measured.
let patience = 240

/// A latch that code of both worlds can wait for: what a test uses in place of sleeping.
///
/// Whoever waits goes on when the gate is open; a gate can be closed again. A wait that takes longer than ``patience``
/// records an issue and goes on, so that a broken test ends.
final class Gate: Sendable {
  private struct State {
    var isOpen: Bool
    var tickets = 0
    var waiters: [Int: @Sendable (Bool) -> Void] = [:]
  }
  private let state: Mutex<State>

  init(isOpen: Bool = false) { state = Mutex(State(isOpen: isOpen)) }

  var isOpen: Bool { state.withLock { $0.isOpen } }

  /// How many are waiting now.
  var waiterCount: Int { state.withLock { $0.waiters.count } }

  func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return state.waiters.values
    }
    for waiter in waiters { waiter(true) }
  }

  func close() { state.withLock { $0.isOpen = false } }

  /// Suspends until the gate is open.
  @discardableResult
  func wait(sourceLocation: SourceLocation = #_sourceLocation) async -> Bool {
    let opened = await withUnsafeContinuation { continuation in
      enter { continuation.resume(returning: $0) }
    }
    if !opened { Issue.record("a gate was never opened", sourceLocation: sourceLocation) }
    return opened
  }

  /// Blocks this thread until the gate is open.
  @discardableResult
  func pass(sourceLocation: SourceLocation = #_sourceLocation) -> Bool {
    let semaphore = DispatchSemaphore(value: 0)
    let opened = Tally()
    enter {
      if $0 { opened.add() }
      semaphore.signal()
    }
    semaphore.wait()
    if opened.count == 0 { Issue.record("a gate was never opened", sourceLocation: sourceLocation) }
    return opened.count > 0
  }

  /// Calls `waiter` once: with true when the gate is open, with false when patience has run out.
  private func enter(_ waiter: @escaping @Sendable (Bool) -> Void) {
    let ticket: Int? = state.withLock { state in
      if state.isOpen { return nil }
      state.tickets += 1
      state.waiters[state.tickets] = waiter
      return state.tickets
    }
    guard let ticket else { return waiter(true) }
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(patience)) { [weak self] in
      self?.state.withLock { $0.waiters.removeValue(forKey: ticket) }?(false)
    }
  }
}

/// A counter that any thread may raise.
final class Tally: Sendable {
  private let value = Atomic(0)
  @discardableResult func add(_ amount: Int = 1) -> Int {
    value.add(amount, ordering: .sequentiallyConsistent).newValue
  }
  var count: Int { value.load(ordering: .sequentiallyConsistent) }
}

/// A list that any thread may append to.
final class Log<Element: Sendable>: Sendable {
  private let state = Mutex<[Element]>([])
  func append(_ element: Element) { state.withLock { $0.append(element) } }
  var entries: [Element] { state.withLock { $0 } }
  var count: Int { state.withLock { $0.count } }
}

/// Waits, for a bounded time, for what nothing announces, such as that another thread sleeps or another process is gone.
func eventually(
  _ what: @autoclosure () -> Comment = "it never came true", within limit: Duration = .seconds(patience),
  sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) async rethrows {
  let end = ContinuousClock.now + limit
  while try !condition() {
    if ContinuousClock.now > end {
      Issue.record(what(), sourceLocation: sourceLocation)
      return
    }
    try? await Task.sleep(for: .microseconds(200))
  }
}

/// Tries at a slower and slower pace what holds only if the machine is not held up for as long as a time limit of the test, which
/// no test can rule out. `body` says what did not hold, or nil.
func atSomePace(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: (_ pace: Int) async throws -> Comment?
) async rethrows {
  var failure: Comment?
  for pace in [1, 4, 16, 64, 256] {
    failure = try await body(pace)
    if failure == nil { return }
  }
  Issue.record(failure, sourceLocation: sourceLocation)
}

/// Suspends until the Task that runs this is cancelled.
func untilCancelled() async {
  let cancelled = Gate()
  await withTaskCancellationHandler {
    _ = await cancelled.wait()
  } onCancel: {
    cancelled.open()
  }
}

/// Takes so long, as work does and sleep does not.
func compute(for duration: Duration) {
  let end = ContinuousClock.now + duration
  while ContinuousClock.now < end {}
}
