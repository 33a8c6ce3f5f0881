@testable import ConcurrentFutures

extension Future {
  /// The value, if the future is finished and did not fail.
  var valueIfDone: Success? {
    if case .success(let value)? = resultIfDone { value } else { nil }
  }

  /// The error, if the future has failed or was cancelled.
  var errorIfDone: (any Error)? {
    if case .failure(let error)? = resultIfDone { error } else { nil }
  }

  /// Whether somebody has registered with it.
  var hasRegistrations: Bool {
    let state = acquired()
    return state.isSlotFull || state.isListed
  }
}

extension _FutureCore {
  /// How many have registered: what a test waits for before it lets something happen to somebody who waits.
  var registrationCount: Int {
    let state = lock()
    let listed = extras.map { $0.waiters.count + $0.callbacks.count } ?? 0
    unlock(state)
    return listed + (state.isSlotFull ? 1 : 0)
  }
}

/// Gives each future a callback that waits for all of them. What it returns counts those that have returned.
func callbacksThatWaitForEachOther<S>(_ futures: [Future<S>]) -> Tally {
  let returned = Tally()
  for future in futures {
    future.addDoneCallback { _ in
      for other in futures { _ = try? other.wait() }
      returned.add()
    }
  }
  return returned
}
