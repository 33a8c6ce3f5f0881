import CPlatformSupport

/// Something whose release was put off; a link of a thread's list of these.
class DeferredRelease {
  fileprivate var next: DeferredRelease?

  /// Runs `release` at once if this thread is not inside another release, and keeps what `leftovers` makes for later if it
  /// is: releasing the first of a chain of futures then needs a constant amount of stack, however long the chain.
  static func perform(_ release: () -> Void, orLater leftovers: () -> DeferredRelease) {
    let thread = cf_thread()
    if let list = thread.pointee.deferred_releases {
      let box = leftovers()
      if list != nothingYet { box.next = Unmanaged<DeferredRelease>.fromOpaque(list).takeRetainedValue() }
      thread.pointee.deferred_releases = Unmanaged.passRetained(box).toOpaque()
      return
    }
    thread.pointee.deferred_releases = nothingYet
    release()
    while let list = thread.pointee.deferred_releases, list != nothingYet {
      let box = Unmanaged<DeferredRelease>.fromOpaque(list).takeRetainedValue()
      if let next = box.next {
        box.next = nil
        thread.pointee.deferred_releases = Unmanaged.passRetained(next).toOpaque()
      } else {
        thread.pointee.deferred_releases = nothingYet
      }
    }
    thread.pointee.deferred_releases = nil
  }

  /// Marks a thread that is inside a release and has put nothing off.
  nonisolated(unsafe) private static let nothingYet = UnsafeMutableRawPointer(bitPattern: 1)!
}
