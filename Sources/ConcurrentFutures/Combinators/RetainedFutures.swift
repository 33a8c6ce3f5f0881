/// A list of futures without their type, each of which it has retained once: whoever takes the list over owns them.
///
/// An array would be converted element by element anyway, and retain each future again whenever it is handed on.
@usableFromInline
struct RetainedFutures: ~Copyable {
  @usableFromInline var base: UnsafeMutablePointer<Unmanaged<_FutureCore>?>
  @usableFromInline var count = 0
  @usableFromInline var capacity: Int

  @inlinable init<S>(_ futures: some Sequence<Future<S>>) {
    capacity = max(1, futures.underestimatedCount)
    base = .allocate(capacity: capacity)
    for future in futures {
      if count == capacity { grow() }
      (base + count).initialize(to: .passRetained(future))
      count += 1
    }
  }

  @usableFromInline mutating func grow() {
    let larger = UnsafeMutablePointer<Unmanaged<_FutureCore>?>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }

  deinit {
    for index in 0..<count { base[index]?.release() }
    base.deallocate()
  }
}
