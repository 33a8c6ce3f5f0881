#if os(Linux) || os(macOS)
/// An array in memory that this process and its workers map at once.
///
/// Sending it to a worker sends a descriptor, whatever its size; the worker works on the very same memory. For large inputs that
/// many tasks read, and for results that tasks write in place:
///
/// ```swift
/// let image = try SharedArray<Float>(repeating: 0, count: width * height)
/// let rows = pool.map((0..<height).map { Row(image: image, y: $0) }) { $0.render() }
/// ```
///
/// The memory goes when nobody in any process uses the array any more. It is not copied on write: this is a reference, and whoever writes must
/// see to it that nobody reads the same elements meanwhile.
///
/// **Trust.** A worker that was taken over can write anything into the array, at any time. Element types for which not every bit pattern
/// is a valid value (`Bool`, enums, pointers) are only safe with workers that you trust.
///
/// Only `BitwiseCopyable` elements can be shared. Encoding it for anything else than a worker throws `EncodingError`.
public final class SharedArray<Element: BitwiseCopyable & Sendable>: Codable, @unchecked Sendable {
  private let memory: SharedMemory
  /// How many elements there are.
  public let count: Int

  private init(memory: SharedMemory, count: Int) {
    self.memory = memory
    self.count = count
  }

  private static func bytes(for count: Int) throws -> Int {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard count >= 0, !overflow else { throw SharedMemoryError("an array of \(count) elements is too large", 0) }
    return bytes
  }

  /// An array of `count` equal elements. Throws when the system has no memory or no descriptor left.
  public convenience init(repeating element: Element, count: Int) throws {
    require(count >= 0, "count must not be negative")
    self.init(memory: try SharedMemory(size: try Self.bytes(for: count)), count: count)
    withUnsafeMutableBufferPointer { $0.update(repeating: element) }
  }

  /// A copy of a collection. Throws when the system has no memory or no descriptor left.
  public convenience init(_ elements: some Collection<Element>) throws {
    let count = elements.count
    self.init(memory: try SharedMemory(size: try Self.bytes(for: count)), count: count)
    withUnsafeMutableBufferPointer { _ = $0.update(from: elements) }
  }

  private var buffer: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: memory.address.assumingMemoryBound(to: Element.self), count: count)
  }

  /// Calls `body` with the elements, which other processes may be writing.
  public func withUnsafeBufferPointer<R>(_ body: (UnsafeBufferPointer<Element>) throws -> R) rethrows -> R {
    defer { withExtendedLifetime(self) {} }
    return try body(UnsafeBufferPointer(buffer))
  }

  /// Calls `body` with the elements, for reading and writing.
  public func withUnsafeMutableBufferPointer<R>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws -> R
  ) rethrows -> R {
    defer { withExtendedLifetime(self) {} }
    return try body(buffer)
  }

  /// The element at a place, which must be within the array. O(1).
  public subscript(index: Int) -> Element {
    get {
      require(index >= 0 && index < count, "index \(index) is not in 0..<\(count)")
      return withUnsafeBufferPointer { $0[index] }
    }
    set {
      require(index >= 0 && index < count, "index \(index) is not in 0..<\(count)")
      withUnsafeMutableBufferPointer { $0[index] = newValue }
    }
  }

  // MARK: travelling

  /// Sends the memory itself.
  public func encode(to encoder: any Encoder) throws {
    let index = try encoder.attach(memory.descriptor, keptOpenBy: memory, encoding: self)
    memory.willBeSent()
    var container = encoder.unkeyedContainer()
    try container.encode(index)
    try container.encode(count)
    try container.encode(MemoryLayout<Element>.stride)
  }

  /// Maps the memory that was sent.
  public convenience init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    let descriptor = try decoder.takeAttachment(at: container.decode(Int.self))
    let memory = try SharedMemory.received(descriptor)
    let count = try container.decode(Int.self)
    let stride = try container.decode(Int.self)
    guard stride == MemoryLayout<Element>.stride, let bytes = try? Self.bytes(for: count), bytes <= memory.size else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "the shared memory is smaller than the array")
    }
    self.init(memory: memory, count: count)
  }
}
#endif
