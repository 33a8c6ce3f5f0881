import CPlatformSupport

/// Writes a closure that must not escape into memory, without moving it to the heap; see `cf_store_closure`.
@_silgen_name("cf_store_closure")
private func storeClosure(_ closure: () -> Void, _ memory: UnsafeMutablePointer<cf_closure>)

extension cf_closure {
  /// The closure must live as long as somebody may call it: at least until the caller of whoever stores it returns.
  init(storing closure: () -> Void) {
    self.init()
    storeClosure(closure, &self)
  }
}

/// The second half of a `join`, on the stack of the worker that forked it.
@usableFromInline
struct JoinFrame {
  /// What a thief calls: a closure that does not escape, which lives as long as the frame.
  let body: cf_closure
  /// The work that forked, for ``CurrentWork``; it outlives the frame.
  let work: UnsafeMutableRawPointer?
  /// 0 until a thief has run the block.
  var isDone: UInt32 = 0

  init(_ body: () -> Void, work: UnsafeMutableRawPointer?) {
    self.body = cf_closure(storing: body)
    self.work = work
  }
}

extension UnsafeMutablePointer<JoinFrame> {
  fileprivate var doneWord: UnsafeMutablePointer<UInt32> {
    UnsafeMutableRawPointer(self).advanced(by: MemoryLayout<JoinFrame>.offset(of: \.isDone)!)
      .assumingMemoryBound(to: UInt32.self)
  }
}

extension JoinFrame {
  /// Called by the thief. The frame is gone as soon as the word is written: the wake-up takes the address as a mere key.
  static func runStolen(_ frame: UnsafeMutablePointer<JoinFrame>) {
    let thread = cf_thread()
    let outer = thread.pointee.current_task
    thread.pointee.current_task = frame.pointee.work
    cf_call_closure(frame.pointee.body)
    thread.pointee.current_task = outer
    let word = frame.doneWord
    if cf_exchange(word, 1) == 2 { cf_wake(word, false) }
  }
}

extension PoolCore {
  /// Runs `a` here while `b` may be taken by another worker. `b` waits in the worker's deque, in this very stack frame: if
  /// nobody has taken it when `a` is done, it is popped and called, and nothing was allocated.
  func join(_ worker: Worker, _ a: () -> Void, _ b: () -> Void) {
    var frame = JoinFrame(b, work: cf_thread().pointee.current_task)
    withUnsafeMutablePointer(to: &frame) { frame in
      let entry = QueueEntry(frame: frame)
      worker.deque.push(entry)
      pushed()
      a()
      if worker.deque.pop(entry) {
        b()
      } else {
        worker.finish(frame, entry)
      }
    }
  }
}

extension Worker {
  /// The frame is not the newest entry of the deque: it was stolen, or `a` has left work on top of it.
  fileprivate func finish(_ frame: UnsafeMutablePointer<JoinFrame>, _ entry: QueueEntry) {
    var above: [QueueEntry] = []
    var found = false
    while let top = deque.pop() {
      if top == entry {
        found = true
        break
      }
      above.append(top)
    }
    for entry in above.reversed() { deque.push(entry) }
    if !above.isEmpty { core.pushed() }
    if found {
      cf_call_closure(frame.pointee.body)
      return
    }
    waitForThief(frame.doneWord)
  }

  /// Another worker runs the frame; this one helps with the forks that it finds in the others' deques meanwhile.
  ///
  /// Not with other work: that may wait for something that this very worker has to do after the join, and that it cannot do
  /// before what lies on top of it has returned. Forks are short of that, unless they wait for foreign futures themselves.
  private func waitForThief(_ word: UnsafeMutablePointer<UInt32>) {
    while cf_load_acquire(word) == 0 {
      if let entry = stealFromOthers(where: \.isFrame) {
        core.run(entry)
        continue
      }
      if Spinning.until({ cf_load_acquire(word) != 0 }) { return }
      guard cf_compare_exchange(word, 0, 2) else { return }
      willBlock()
      while cf_load_acquire(word) != 1 { cf_wait(word, 2, -1) }
      didUnblock()
    }
  }
}
