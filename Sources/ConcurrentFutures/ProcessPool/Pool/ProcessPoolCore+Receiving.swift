#if os(Linux) || os(macOS)
import CPlatformSupport

/// What workers say, some dozens of frames at a time: the scheduler's lock is taken once for all of them.
extension ProcessPoolCore {
  static var mostAtOnce: Int { 64 }

  /// Takes in what a worker has said; whether there was anything.
  func receiveFrames(_ worker: WorkerHandle, _ state: DriverState) -> Bool {
    do throws(ChannelViolation) {
      while state.received.count < Self.mostAtOnce, let frame = try worker.receive() { state.received.append(frame) }
    } catch {
      // Whatever it is now, it is no worker of ours any more.
      worker.condemn(error.what)
    }
    if state.received.isEmpty { return false }
    process(worker, state)
    state.received.removeAll(keepingCapacity: true)
    return true
  }

  private func process(_ worker: WorkerHandle, _ driverState: DriverState) {
    var followUp = FollowUp()
    var started: ProcessWork?
    var ready: [Future<Void>] = []
    var setsClock = false
    var violation: ChannelViolation?
    var failedInitializer: ReceivedFrame?
    let now = cf_now()
    let initializerTask = blueprint.initializer == nil ? nil : WorkerBlueprint.initializerTask
    state.withLock { state in
      for index in driverState.received.indices where violation == nil {
        let header = driverState.received[index].header
        do throws(ChannelViolation) {
          switch try state.scheduler.heard(header, worker: worker.index, now: now, initializerTask: initializerTask) {
          case .started(let id, let work):
            started = work
            if let timeout = work?.timeout {
              state.scheduler.setDeadline(now &+ timeout, of: id, worker: worker.index)
              setsClock = true
            }
          case .ready: ready += takeStartingIfReady(&state)
          case .unpacked(let work): try work?.hears(header)
          case .partly(let work):
            try work?.hears(header)
            if let work { driverState.answers.append((work, index)) }
          case .ended(let work):
            // What has also ended is not announced as running.
            started = nil
            if let work { driverState.answers.append((work, index)) }
          case .initializerFailed: failedInitializer = driverState.received[index]
          case .noted: break
          }
        } catch {
          violation = error
        }
      }
      dispatch(&state, &followUp)
      if state.scheduler.mayCongest { setsClock = true }
    }
    if let violation { worker.condemn(violation.what) }
    act(followUp)
    // The driver's thread looks at the clock itself when it drives; while another does, it sleeps with an older idea of it.
    if setsClock, driverState.helped != nil { driver.wake() }
    if let started { _ = started.setRunning() }
    for future in ready { driverState.deliveries.append(.started(future)) }
    for (work, index) in driverState.answers {
      let answer = driverState.received[index]
      if work === driverState.helped, !work.hasCallbacks(answer.header) {
        if work.mayFinishElsewhere {
          beginDecoding()
          driverState.helpedAnswer = answer
        } else {
          work.finish(answer)
        }
      } else {
        driverState.deliveries.append(.answer(work, answer))
      }
    }
    if !driverState.answers.isEmpty { worker.standardError.taskEnded() }
    driverState.answers.removeAll(keepingCapacity: true)
    if let failedInitializer { initializerFailed(failedInitializer, driverState) }
  }

  private func initializerFailed(_ frame: ReceivedFrame, _ driverState: DriverState) {
    guard case .failure(let error) = frame.result(as: Int.self) else { return }
    let reason = "the initializer of its workers failed: \(error)"
    driverState.deliveries.append(
      .broken(BrokenExecutorError(name: name, reason: reason, underlyingError: error)))
  }
}
#endif
