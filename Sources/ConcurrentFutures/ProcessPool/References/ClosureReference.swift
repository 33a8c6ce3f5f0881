#if os(Linux) || os(macOS)
import CProcessSupport

/// A closure in a box of its own type, which is two words: the address of its code, and its context.
///
/// The box makes the closure's calling convention the same on both sides: that of a stored property of a generic type.
struct Closure0<R> { let call: @Sendable () throws -> R }
struct Closure1<A, R> { let call: @Sendable (A) throws -> R }
struct Closure2<A, B, R> { let call: @Sendable (A, B) throws -> R }
struct AsyncClosure1<A, R> { let call: @Sendable (A) async throws -> R }
// A closure without a result has another calling convention than one whose result is of a generic type that happens to be Void.
struct VoidClosure0 { let call: @Sendable () throws -> Void }
struct VoidClosure1<A> { let call: @Sendable (A) throws -> Void }
struct VoidClosure2<A, B> { let call: @Sendable (A, B) throws -> Void }
struct VoidAsyncClosure1<A> { let call: @Sendable (A) async throws -> Void }

/// What the box of a closure consists of.
struct ClosureWords {
  let code: UInt
  let context: UInt
}

/// Where a closure's code is, relative to the image: the same in every process that runs this program.
///
/// Only closures without a context can be named so. A closure that captures something has one, and so has, in debug
/// builds, a reference to a function, and a closure in generic code that was not specialised.
struct ClosureReference: Hashable {
  let offset: Int

  /// Nil when the closure has a context or its code is in another image.
  init?<Box>(_ box: Box) {
    precondition(MemoryLayout<Box>.size == 2 * MemoryLayout<UInt>.size)
    let words = unsafeBitCast(box, to: ClosureWords.self)
    guard words.context == 0, let code = UnsafeRawPointer(bitPattern: words.code), cp_is_in_image(code) else {
      return nil
    }
    offset = code - cp_image_anchor()
  }

  init(offset: Int) { self.offset = offset }

  /// The closure in this process. The offset must come from the parent, whose word is final in a worker.
  func closure<Box>(_ type: Box.Type) -> Box {
    precondition(MemoryLayout<Box>.size == 2 * MemoryLayout<UInt>.size)
    return unsafeBitCast(ClosureWords(code: UInt(bitPattern: cp_image_anchor() + offset), context: 0), to: Box.self)
  }
}
#endif
