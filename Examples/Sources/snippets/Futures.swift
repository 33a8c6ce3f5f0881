import ConcurrentFutures

private func readText(_ path: String) throws -> String { "{}" }
private func download(_ name: String) async throws -> [UInt8] { Array(name.utf8) }

/// An interface of the kind that a future wraps.
private func legacyLookUp(_ host: String, _ completion: @escaping @Sendable (String?, (any Error)?) -> Void) {
  completion("192.0.2.1", nil)
}

// snippet: a callback becomes a future
func address(of host: String) -> Future<String> {
  let future = Future<String>()
  legacyLookUp(host) { address, error in
    future.complete(with: address.map { .success($0) } ?? .failure(error!))
  }
  return future
}
// end

func runFutures() async throws {
  let pool = ThreadPool(maxWorkers: 2)

  do {
    // snippet: a promise
    let answer = Future<Int>()  // its creator completes it, from any thread
    answer.addDoneCallback { print($0) }  // prints Future<Int>(finished: 42)
    try answer.setResult(42)  // the first completion wins, a second throws InvalidStateError
    let value = try await answer.value  // synchronous code: answer.wait(timeout: .seconds(1))
    // end
    expect(value == 42 && answer.description == "Future<Int>(finished: 42)")
  }

  do {
    // snippet: chaining
    let size = pool.submit { try readText("settings.json") }
      .recover { _ in "{}" }
      .map { $0.utf8.count }
      .timeout(after: .seconds(30))
    // end
    expect(try await size.value == 2)
    expect(try await address(of: "example.org").value == "192.0.2.1")
  }

  do {
    // snippet: async to future
    let bytes = Future { try await download("index.html") }  // a Task of its own
    bytes.addDoneCallback { print($0.state) }  // for code that knows nothing of async
    // end
    expect(try await bytes.value.count == 10)
  }

  do {
    // snippet: waiting is independent
    let slow = Future<Int>()
    do {
      _ = try await slow.value(within: .milliseconds(10))
    } catch is TimeoutError {
      print(slow)  // prints Future<Int>(pending): only this wait is over
    }
    slow.cancel()  // wakes every waiter; reading the value throws CancellationError
    // end
    expect(slow.isCancelled)
  }

  // snippet: diagnostics
  FutureDiagnostics.onUnobservedFailure { failure in
    print("nobody looked at \(failure.error)")
  }
  // end
  FutureDiagnostics.onUnobservedFailure(nil)
}

func runFuturesSynchronously() {
  let pool = ThreadPool(maxWorkers: 2)
  // snippet: synchronous
  let futures = ["a", "b", "c"].map { name in pool.submit { try readText(name) } }
  for future in asCompleted(futures) {
    print(future.resultIfDone!)
  }
  // end
}
