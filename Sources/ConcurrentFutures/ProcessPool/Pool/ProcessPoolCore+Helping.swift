#if os(Linux) || os(macOS)
import CPlatformSupport
import CProcessSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A thread that blocks for a future of the pool reads the workers' answers itself for a while.
///
/// When the pool is hot, the answer comes within a microsecond or two; handing it over from the driver's thread would cost
/// a switch of threads on top. The driver's thread sleeps meanwhile, and no worker rings for it.
extension ProcessPoolCore {
  /// Whether the work ended. Runs no callbacks: what has some is left to the driver.
  func help(_ work: ProcessWork, _ future: _FutureCore) -> Bool {
    guard AdaptiveSpin.isUseful else { return false }
    var drives = driver.tryDrive()
    if !drives {
      driver.helperWantsToDrive(true)
      var looks = 0
      while !drives, looks < 400 {
        if future.acquired().isDone { break }
        looks += 1
        if looks & 15 == 0 { sched_yield() } else { cf_pause() }
        drives = driver.tryDrive()
      }
      driver.helperWantsToDrive(false)
      guard drives else { return future.acquired().isDone }
    }
    let state = driverState
    // With something to deliver the driver's thread is at work, or called.
    if state.nextDelivery == state.deliveries.count { drive(for: work, future, state) }
    let wakes = state.wakesDriver
    state.wakesDriver = false
    let answer = state.helpedAnswer
    state.helpedAnswer = nil
    driver.stopDriving()
    if wakes { driver.wake() }
    if let answer {
      // Somebody may have added a callback meanwhile, which is not for this thread to run.
      if work.finishQuietly(answer) { handOver(work) } else { endDecoding() }
    }
    return future.acquired().isDone
  }

  /// The same for a Task, as long as it is the only one that waits for this pool. It has begun to wait in any case.
  func helpFromTask(_ work: ProcessWork?, _ future: _FutureCore) -> Bool {
    // The main thread has a screen to draw; decoding takes as long as it takes. And the driver's thread must not wait for one that
    // gets no processor.
    guard briefWaits.begin(), let work, !cf_is_main_thread(), Task.currentPriority >= .utility else { return false }
    let isDone = help(work, future)
    briefWaits.looked(isDone)
    return isDone
  }

  private func drive(for work: ProcessWork, _ future: _FutureCore, _ state: DriverState) {
    for worker in state.workers { worker.wakeUp() }
    state.helped = work
    _ = state.helpSpin.spin {
      for worker in state.workers {
        if worker.hasInput { _ = receiveFrames(worker, state) }
        if worker.mayFlush { worker.flush() }
      }
      return future.acquired().isDone || driver.driverWantsToDrive || driver.isCommanded
        || state.nextDelivery < state.deliveries.count || state.helpedAnswer != nil
    }
    state.helped = nil
    for worker in state.workers { worker.prepareToSleep() }
    cp_fence()
    state.wakesDriver = state.nextDelivery < state.deliveries.count || state.workers.contains { $0.hasInput }
  }
}
#endif
