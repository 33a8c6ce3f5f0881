import Dispatch
import Foundation

/// The work of a tiny task. Not inlined, so that it stays a call.
@inline(never) func increment(_ value: Int) -> Int { value + 1 }

/// The sum of `increment` over `0..<count`.
func triangle(_ count: Int) -> Int { count * (count + 1) / 2 }

/// State that one thread at a time touches, by the construction of the workload.
final class Box<Value>: @unchecked Sendable {
  @exclusivity(unchecked) var value: Value
  init(_ value: Value) { self.value = value }
}

/// Runs asynchronous code and blocks this thread, which is none of Swift's pool, until it has returned.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let done = DispatchSemaphore(value: 0)
  let result = Box<Result<Value, any Error>?>(nil)
  Task.detached {
    do { result.value = .success(try await body()) } catch { result.value = .failure(error) }
    done.signal()
  }
  done.wait()
  return try result.value!.get()
}

/// Blocks this thread where the compiler knows that it should not: to keep a pool of threads busy on purpose.
func block(on semaphore: DispatchSemaphore) { semaphore.wait() }

/// Blocks this thread, wherever it is.
func sleepFor50Milliseconds() { usleep(50_000) }
