/// The futures in the order in which they end, those that are done already first.
///
/// ```swift
/// for await future in asCompleted(futures) { ... }      // asynchronous code
/// for future in asCompleted(futures) { ... }            // synchronous code: blocks for each
/// ```
/// A future that is given twice comes once. Each is let go of as it is handed out, and leaving the loop early takes all
/// registrations back. A cancelled future comes like any other.
///
/// - Complexity: O(1) per completion, however many futures there are.
@inlinable public func asCompleted<S: Sendable>(_ futures: some Sequence<Future<S>>) -> CompletedFutures<S> {
  CompletedFutures(handle: CompletionQueueHandle(RetainedFutures(futures)))
}

/// The futures in the order in which they end, for as long as `timeout` allows, counted from this call.
///
/// When the time has run out and some are not done, the iteration throws ``TimeoutError``, which says how many.
@inlinable public func asCompleted<S: Sendable>(
  _ futures: some Sequence<Future<S>>, timeout: Duration
) -> TimedCompletedFutures<S> {
  TimedCompletedFutures(handle: CompletionQueueHandle(RetainedFutures(futures), limit: timeout))
}

/// What ``asCompleted(_:)`` returns: a sequence for `for` and for `for await`.
///
/// It can be gone through once: iterators share what is left. In a `for await` the iteration ends early when the Task is
/// cancelled.
public struct CompletedFutures<S: Sendable>: Sequence, AsyncSequence, Sendable {
  /// A future that is done.
  public typealias Element = Future<S>

  @usableFromInline let handle: CompletionQueueHandle

  @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

  /// The queue holds nothing else, but does not know the type.
  @inlinable static func downcast(_ future: _FutureCore) -> Future<S> { unsafeDowncast(future, to: Future<S>.self) }

  /// An iterator that blocks for each future.
  @available(*, noasync, message: "a plain `for` blocks its thread; write `for await`")
  @inlinable public func makeIterator() -> Iterator { Iterator(handle: handle) }

  /// An iterator that suspends for each future.
  @inlinable public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(handle: handle) }

  /// Blocks for each future.
  public struct Iterator: IteratorProtocol {
    @usableFromInline let handle: CompletionQueueHandle

    @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

    /// The next future that is done, or nil after the last. Blocks this thread.
    @available(*, noasync, message: "this blocks its thread; write `for await`")
    @inlinable public mutating func next() -> Future<S>? { (try! handle.next()).map(CompletedFutures<S>.downcast) }
  }

  /// Suspends for each future.
  public struct AsyncIterator: AsyncIteratorProtocol {
    @usableFromInline let handle: CompletionQueueHandle

    @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

    /// The next future that is done; nil after the last, or when the Task is cancelled.
    @inlinable public nonisolated(nonsending) mutating func next() async -> Future<S>? {
      (try! await handle.next()).map(CompletedFutures<S>.downcast)
    }

    /// The same, for any isolation.
    @inlinable public mutating func next(isolation actor: isolated (any Actor)?) async -> Future<S>? {
      (try! await handle.next()).map(CompletedFutures<S>.downcast)
    }
  }
}

/// What ``asCompleted(_:timeout:)`` returns.
///
/// Asynchronous code writes `for try await`; synchronous code calls `next()` of `makeIterator()`.
public struct TimedCompletedFutures<S: Sendable>: AsyncSequence, Sendable {
  /// A future that is done.
  public typealias Element = Future<S>
  /// What is thrown when the time has run out.
  public typealias Failure = TimeoutError

  @usableFromInline let handle: CompletionQueueHandle

  @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

  /// An iterator that blocks for each future.
  @available(*, noasync, message: "this iterator blocks its thread; write `for try await`")
  @inlinable public func makeIterator() -> Iterator { Iterator(handle: handle) }

  /// An iterator that suspends for each future.
  @inlinable public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(handle: handle) }

  /// Blocks for each future.
  public struct Iterator {
    @usableFromInline let handle: CompletionQueueHandle

    @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

    /// The next future that is done, or nil after the last. Blocks this thread.
    ///
    /// - Throws: ``TimeoutError`` when the time has run out.
    @available(*, noasync, message: "this blocks its thread; write `for try await`")
    @inlinable public mutating func next() throws(TimeoutError) -> Future<S>? {
      try handle.next().map(CompletedFutures<S>.downcast)
    }
  }

  /// Suspends for each future.
  public struct AsyncIterator: AsyncIteratorProtocol {
    @usableFromInline let handle: CompletionQueueHandle

    @usableFromInline init(handle: CompletionQueueHandle) { self.handle = handle }

    /// The next future that is done; nil after the last, or when the Task is cancelled.
    ///
    /// - Throws: ``TimeoutError`` when the time has run out.
    @inlinable public nonisolated(nonsending) mutating func next() async throws(TimeoutError) -> Future<S>? {
      try await handle.next().map(CompletedFutures<S>.downcast)
    }

    /// The same, for any isolation.
    @inlinable public mutating func next(isolation actor: isolated (any Actor)?) async throws(TimeoutError) -> Future<
      S
    >? {
      try await handle.next().map(CompletedFutures<S>.downcast)
    }
  }
}
