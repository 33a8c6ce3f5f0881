import Synchronization

/// A sequence of futures was empty where the answer has to come from one of them.
public struct NoFuturesError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What happened and what to do.
  public var description: String { "there is no first of no futures: pass at least one" }
}

/// A future that ends as the first of these to end, whatever way: with its value, its error, or cancelled.
///
/// The others keep running. Cancelling it cancels all that are not done. An empty sequence fails with ``NoFuturesError``.
public func firstCompleted<S: Sendable>(of futures: some Sequence<Future<S>>) -> Future<S> {
  race(futures) { _ in true }
}

/// A future of the first value that any of these has; if all fail, it fails with the error of the last to end.
///
/// The others keep running. Cancelling it cancels all that are not done. An empty sequence fails with ``NoFuturesError``.
public func firstSucceeded<S: Sendable>(of futures: some Sequence<Future<S>>) -> Future<S> {
  race(futures) { $0.errorIfFailed() == nil }
}

private func race<S: Sendable>(
  _ futures: some Sequence<Future<S>>, isWinner: @escaping @Sendable (_FutureCore) -> Bool
) -> Future<S> {
  let contestants = Array(futures)
  if contestants.isEmpty { return .failed(NoFuturesError()) }
  let producer = RaceProducer()
  let outer = Future<S>(producer: producer)
  let race = Race(erased(contestants), isWinner: isWinner) {
    outer.complete(copying: unsafeDowncast($0, to: Future<S>.self))
  }
  producer.watch(race)
  race.start()
  return outer
}

/// Watches futures until one wins; the last to end wins if none did before. Forgets the others then.
private final class Race: FutureObserver, @unchecked Sendable {
  private let remaining: Atomic<Int>
  private let isWinner: @Sendable (_FutureCore) -> Bool
  private let finish: @Sendable (_FutureCore) -> Void
  private let watched: Watched

  init(
    _ futures: [_FutureCore], isWinner: @escaping @Sendable (_FutureCore) -> Bool,
    finish: @escaping @Sendable (_FutureCore) -> Void
  ) {
    remaining = Atomic(futures.count)
    self.isWinner = isWinner
    self.finish = finish
    watched = Watched(futures)
  }

  func start() { watched.register(self) }

  override func futureDone(_ future: FutureCore, index: Int) {
    // Each release is acquired by whoever comes to zero: it sees all the others' results.
    let isLast = remaining.subtract(1, ordering: .acquiringAndReleasing).newValue == 0
    guard isWinner(future) || isLast else { return }
    finish(future)
    watched.removeRegistrations(of: self)
  }

  func cancel() {
    for future in watched.removeRegistrations(of: self) { future.cancelCore() }
  }
}

private final class RaceProducer: FutureProducer, @unchecked Sendable {
  private let race = Mutex<Race?>(nil)
  func watch(_ race: Race) { self.race.withLock { $0 = race } }
  override func futureWasCancelled() { race.withLock { $0.take() }?.cancel() }
}
