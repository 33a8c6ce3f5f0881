import CPlatformSupport

/// The raw memory inside a future that holds its body, its value or its error, one after the other.
///
/// An enum would say the same more safely, and cost more than all the rest: a generic class runs the same unspecialised
/// `deinit` for all its types, which finds out at run time, through metadata look-ups, what an enum with a generic payload
/// holds. Here the state word says what the memory holds, and only values that need it are ever destroyed.
///
/// | state | memory |
/// |---|---|
/// | pending or running, `produced` | the producer |
/// | pending, with `work` | the body, `() throws -> Success` |
/// | otherwise pending or running; cancelled | nothing |
/// | finished | the value, or a pointer to it where it is larger than the memory |
/// | finished, `failed` | the error |
@usableFromInline typealias FuturePayload = (UInt, UInt)

extension Future {
  @usableFromInline typealias Body = @Sendable () throws -> Success

  @inlinable static var valueFitsInline: Bool {
    MemoryLayout<Success>.size <= MemoryLayout<FuturePayload>.size
      && MemoryLayout<Success>.alignment <= MemoryLayout<FuturePayload>.alignment
  }

  /// What a stored value puts into the state word. Where the type is known, it is known without looking: `deinit`, which has to ask
  /// the type's metadata, finds it in the word.
  @inlinable @inline(__always)
  static var valueBits: UInt32 { valueFitsInline && _isPOD(Success.self) ? 0 : FutureWord.owning }

  @inlinable @inline(__always)
  func withPayload<R>(_ use: (UnsafeMutableRawPointer) -> R) -> R {
    withUnsafeMutablePointer(to: &payload) { use(UnsafeMutableRawPointer($0)) }
  }

  /// For readers, of which there may be many at once: `withPayload` claims the memory for itself alone.
  ///
  /// By address, not through a copy of the two words: what is loaded from plain words the optimiser takes for nobody's, drops
  /// the retain, and lets the caller's release of the future free what was just returned. The future lives until the value
  /// has been copied.
  @inlinable @inline(__always)
  func readPayload<R>(_ use: (UnsafeRawPointer) -> R) -> R {
    withExtendedLifetime(self) {
      use(UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque()) + _FutureCore.payloadOffset)
    }
  }

  @inlinable @inline(__always)
  func storeBody(_ body: __owned @escaping Body) {
    let memory = withPayload { $0.bindMemory(to: Body.self, capacity: 1) }
    memory.initialize(to: consume body)
  }

  @inlinable @inline(__always)
  func takeBody() -> Body {
    withPayload { $0.assumingMemoryBound(to: Body.self).move() }
  }

  func storeProducer(_ producer: FutureProducer) {
    let bits = UInt(bitPattern: Unmanaged.passRetained(producer).toOpaque())
    withPayload { $0.storeBytes(of: bits, as: UInt.self) }
  }

  private var storedProducer: Unmanaged<FutureProducer> {
    .fromOpaque(UnsafeRawPointer(bitPattern: withPayload { $0.load(as: UInt.self) })!)
  }

  func peekProducer() -> FutureProducer {
    storedProducer.takeUnretainedValue()
  }

  @usableFromInline func takeProducer() -> FutureProducer {
    storedProducer.takeRetainedValue()
  }

  @inlinable @inline(__always)
  func storeValue(_ value: consuming Success) {
    if Self.valueFitsInline {
      withPayload { _ = $0.initializeMemory(as: Success.self, repeating: value, count: 1) }
    } else {
      let box = UnsafeMutablePointer<Success>.allocate(capacity: 1)
      box.initialize(to: value)
      withPayload { $0.storeBytes(of: UInt(bitPattern: box), as: UInt.self) }
    }
  }

  @inlinable @inline(__always)
  func storeError(_ error: any Error) {
    withPayload { _ = $0.initializeMemory(as: (any Error).self, repeating: error, count: 1) }
  }

  /// The value of a future that is finished and did not fail.
  @inlinable @inline(__always)
  var storedValue: Success {
    readPayload { payload in
      if Self.valueFitsInline { return payload.load(as: Success.self) }
      return UnsafePointer<Success>(bitPattern: payload.load(as: UInt.self))!.pointee
    }
  }

  @inlinable @inline(__always)
  var storedError: any Error {
    readPayload { $0.load(as: (any Error).self) }
  }

  /// Moves the result out, in `deinit`; nil if there is none.
  func takeResult(in state: FutureWord) -> Result<Success, any Error>? {
    guard state.phase == FutureWord.finished else { return nil }
    if state.isFailed { return .failure(withPayload { $0.assumingMemoryBound(to: (any Error).self).move() }) }
    if Self.valueFitsInline { return .success(withPayload { $0.assumingMemoryBound(to: Success.self).move() }) }
    let box = withPayload { UnsafeMutablePointer<Success>(bitPattern: $0.load(as: UInt.self))! }
    defer { box.deallocate() }
    return .success(box.move())
  }

  /// Destroys the result, in `deinit`. Asks the runtime for no other type than the value's, which it knows.
  func destroyResult(in state: FutureWord) {
    guard state.phase == FutureWord.finished else { return }
    if state.isFailed {
      withPayload { _ = $0.assumingMemoryBound(to: (any Error).self).deinitialize(count: 1) }
    } else if Self.valueFitsInline {
      withPayload { _ = $0.assumingMemoryBound(to: Success.self).deinitialize(count: 1) }
    } else {
      let box = withPayload { UnsafeMutablePointer<Success>(bitPattern: $0.load(as: UInt.self))! }
      box.deinitialize(count: 1)
      box.deallocate()
    }
  }
}

extension _FutureCore {
  /// Whether the memory can be forgotten without destroying anything.
  final func payloadIsTrivial(in state: FutureWord) -> Bool {
    state.isDone ? state.bits & (FutureWord.failed | FutureWord.owning) == 0 : !hasSource(in: state)
  }

  /// Whether the memory holds something that a result must not overwrite.
  @inlinable @inline(__always)
  final func hasSource(in state: FutureWord) -> Bool {
    state.hasProducer || (state.phase == FutureWord.pending && hasWork)
  }

  /// Who makes the value, moved out, if anybody does and the memory holds it.
  @inlinable @inline(__always)
  final func takeSourceIfAny(in state: FutureWord) -> FutureSource {
    hasSource(in: state) ? takeSource(in: state) : FutureSource()
  }

  /// Moves out who makes the value: the producer or the body. Nobody else may reach the memory: under the lock, or in `deinit`.
  ///
  /// Never inlined: the optimiser takes memory of different types for different memory, and would read the old contents
  /// after the result has been written over them.
  @usableFromInline @inline(never)
  final func takeSource(in state: FutureWord) -> FutureSource {
    let (first, second) = withUnsafeMutablePointer(to: &payload) { payload in
      let words = UnsafeRawPointer(payload)
      return (words.load(as: UInt.self), words.load(fromByteOffset: MemoryLayout<UInt>.size, as: UInt.self))
    }
    return state.hasProducer ? FutureSource(producer: first) : FutureSource(bodyContext: second)
  }
}

/// Who would have made a future's value, moved out of the future: to be released once, where that is safe.
///
/// Not an enum with the body in it: its type has the future's value in it, and what knows the future's type only at run time would
/// ask the runtime for that type each time, some 300 instructions.
@usableFromInline
struct FutureSource: Sendable {
  @usableFromInline let producer: UInt
  /// The second word of the body's closure, 0 for one that captures nothing.
  @usableFromInline let bodyContext: UInt

  @inlinable init() { (producer, bodyContext) = (0, 0) }
  init(producer: UInt) { (self.producer, bodyContext) = (producer, 0) }
  init(bodyContext: UInt) { (producer, self.bodyContext) = (0, bodyContext) }

  @inlinable @inline(__always)
  func release() {
    if producer | bodyContext != 0 { releaseWhatItHolds() }
  }

  @usableFromInline func releaseWhatItHolds() {
    if producer != 0 { Unmanaged<FutureProducer>.fromOpaque(UnsafeRawPointer(bitPattern: producer)!).release() }
    if bodyContext != 0 { cf_release_context(bodyContext) }
  }
}
