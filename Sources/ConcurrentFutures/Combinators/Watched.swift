import Synchronization

/// The futures without their type: the same array, since references to objects are the same whatever their type is taken to
/// be. Converting it would cast each element dynamically, and retain and release it.
@inlinable
func erased<S>(_ futures: [Future<S>]) -> [_FutureCore] { unsafeBitCast(futures, to: [_FutureCore].self) }

@inlinable
func erased<S>(_ futures: some Sequence<Future<S>>) -> [_FutureCore] { erased(Array(futures)) }

/// The futures that one observer has registered with, until it takes its registrations back.
///
/// It holds the futures, whose registrations hold the observer: whoever stops waiting breaks the cycle with
/// ``removeRegistrations(of:)``, which leaves nothing of the observer behind.
final class Watched: Sendable {
  private struct State {
    var futures: [_FutureCore?]
    /// Only of those that did not fit into their future's slot.
    var nodes: [Int: Registration] = [:]
    var isOver = false
  }
  private let state: Mutex<State>

  init(_ futures: [_FutureCore]) { state = Mutex(State(futures: futures.map(Optional.some))) }

  /// Registers with every future in turn; those that are done are reported at once.
  func register(_ observer: FutureObserver) {
    let futures = state.withLock { $0.futures }
    for (index, future) in futures.enumerated() {
      guard let future else { continue }
      let added = future.addObserverCore(observer, index: index)
      var removeAgain = false
      switch added {
      case .alreadyDone: observer.futureDone(future, index: index)
      case .thereAlready: break
      case .inSlot: removeAgain = state.withLock { $0.isOver }
      case .inList(let node):
        removeAgain = state.withLock { state in
          if !state.isOver { state.nodes[index] = node }
          return state.isOver
        }
      }
      // It was all over before this registration was known.
      if removeAgain { future.removeObserver(observer, index: index, added) }
    }
  }

  /// Takes all registrations back, and forgets the futures.
  ///
  /// - Returns: the futures, for who wants to cancel them. Empty when called before.
  @discardableResult
  func removeRegistrations(of observer: FutureObserver) -> [_FutureCore] {
    let (futures, nodes) = state.withLock { state in
      defer {
        state.futures = []
        state.nodes = [:]
        state.isOver = true
      }
      return (state.futures, state.nodes)
    }
    for (index, future) in futures.enumerated() {
      guard let future, !future.acquired().isDone else { continue }
      future.removeObserver(observer, index: index, nodes[index].map(ObserverAdded.inList) ?? .inSlot)
    }
    return futures.compactMap(\.self)
  }
}
