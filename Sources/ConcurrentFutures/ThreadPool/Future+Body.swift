extension Future {
  /// A future of what `body` returns or throws once a pool has run it.
  @inlinable convenience init(body: __owned @escaping @Sendable () throws -> Success) {
    // The closure captures nothing: in code that knows `Success` it is a mere function.
    self.init(word: FutureWord(), work: { unsafeDowncast($0, to: Future<Success>.self).runBody() })
    storeBody(consume body)
  }

  /// Runs the body in this thread, unless the future was cancelled or somebody else runs it.
  @inlinable func runBody() {
    guard let body = startAndTakeBody() else { return }
    do {
      // The body, and what it captured, is gone before the callbacks run.
      let value = try (consume body)()
      finish(returning: value)
    } catch {
      finish(throwing: error)
    }
  }

  /// Starts and takes the body out in one step: whoever completes the future in between would write over the body.
  @inlinable @inline(__always)
  func startAndTakeBody() -> Body? {
    var state = lock()
    if state.start() != .run {
      unlock(state)
      return nil
    }
    let body = takeBody()
    keepMemory(ofContext: unsafeBitCast(body, to: (UInt, UInt).self).1)
    unlock(state)
    return body
  }

  @inlinable @inline(__always)
  func finish(returning value: consuming Success) {
    var state = lock()
    let action = state.finish()
    if action == .lost {
      unlock(state)
      return
    }
    storeValue(value)
    state.bits |= Self.valueBits
    if action == .storeAndDeliver { unlockAndDeliver(state) } else { unlock(state) }
  }

  /// Ends with an error, or as cancelled if that was asked for and is what the body says.
  @usableFromInline func finish(throwing error: any Error) {
    if error is CancellationError, acquired().isCancelRequested {
      endAsCancelled()
    } else {
      complete(with: .failure(error))
    }
  }
}
