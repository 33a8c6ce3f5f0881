import Testing

@testable import ConcurrentFutures

/// The pure state machine: every event in every state.
@Suite struct FutureWordTests {
  static let pending = FutureWord()
  static let running = FutureWord(bits: FutureWord.running)
  static let stoppable = FutureWord(bits: FutureWord.running | FutureWord.stoppable)
  static let cancelled = FutureWord(bits: FutureWord.cancelled)
  static let finished = FutureWord(bits: FutureWord.finished)
  static let failed = FutureWord(bits: FutureWord.finished | FutureWord.failed)
  static let all = [pending, running, stoppable, cancelled, finished, failed]

  private func after<Action>(_ word: FutureWord, _ event: (inout FutureWord) -> Action) -> (Action, FutureWord) {
    var word = word
    let action = event(&word)
    return (action, word)
  }

  @Test func phasesAreTold() {
    #expect(Self.all.map(\.state) == [.pending, .running, .running, .cancelled, .finished, .finished])
    #expect(Self.all.map(\.isDone) == [false, false, false, true, true, true])
    #expect(Self.all.map(\.isFailed) == [false, false, false, false, false, true])
  }

  @Test func finishStoresOnlyWhereNothingIs() {
    for word in Self.all {
      let (action, new) = after(word) { $0.finish() }
      if word.isDone {
        #expect(action == .lost)
        #expect(new == word)
      } else {
        #expect(action == .store)
        #expect(new.state == .finished)
      }
    }
  }

  @Test(arguments: [FutureWord.slotFull, FutureWord.listed, FutureWord.slotFull | FutureWord.listed])
  func anEndWithRegistrationsDelivers(registrations: UInt32) {
    for word in [Self.pending, Self.running, Self.stoppable] {
      let waited = FutureWord(bits: word.bits | registrations)
      #expect(after(waited) { $0.finish() }.0 == .storeAndDeliver)
      #expect(after(waited) { $0.finish() }.1.isDelivering)
      #expect(after(waited) { $0.confirmCancellation() }.0 == .storeAndDeliver)
    }
    for word in [Self.pending, Self.stoppable] {
      let (action, new) = after(FutureWord(bits: word.bits | registrations)) { $0.cancel() }
      #expect(action == .dropAndDeliver)
      #expect(new.isDelivering)
      #expect(new.state == .cancelled)
    }
  }

  @Test func cancelDependsOnThePhase() {
    #expect(after(Self.pending) { $0.cancel() } == (.drop, Self.cancelled))
    #expect(after(Self.cancelled) { $0.cancel() } == (.alreadyCancelled, Self.cancelled))
    #expect(after(Self.finished) { $0.cancel() } == (.tooLate, Self.finished))
    #expect(after(Self.failed) { $0.cancel() } == (.tooLate, Self.failed))
    let (action, stopped) = after(Self.stoppable) { $0.cancel() }
    #expect(action == .drop)
    #expect(stopped.state == .cancelled)
  }

  @Test func cancelOfRunningWorkIsARequestAndTheFirstOneIsTold() {
    var word = Self.running
    #expect(word.cancel() == .request(first: true))
    #expect(word.cancel() == .request(first: false))
    #expect(word.isCancelRequested)
    #expect(word.state == .running)
  }

  @Test func confirmedCancellationEndsWhatIsNotDone() {
    for word in Self.all {
      let (action, new) = after(word) { $0.confirmCancellation() }
      #expect(action == (word.isDone ? .lost : .store))
      #expect(new.state == (word.isDone ? word.state : .cancelled))
    }
  }

  @Test func startLeavesPendingOnly() {
    #expect(after(Self.pending) { $0.start() } == (.run, Self.running))
    #expect(after(Self.cancelled) { $0.start() } == (.skip, Self.cancelled))
    for word in [Self.running, Self.stoppable, Self.finished, Self.failed] {
      #expect(after(word) { $0.start() } == (.invalid, word))
    }
  }

  @Test func firstRegistrationGoesIntoTheSlotAndLaterOnesIntoTheList() {
    var word = Self.pending
    #expect(word.register() == .fillSlot)
    #expect(word.register() == .append)
    #expect(word.register() == .append)
    word.emptySlot()
    // The list holds earlier registrations: the slot, which is delivered first, must stay empty.
    #expect(word.register() == .append)
  }

  @Test func registrationWithADoneFutureCallsAtOnceUnlessOthersAreBeingDelivered() {
    for word in Self.all where word.isDone {
      #expect(after(word) { $0.register() }.0 == .callNow)
      let delivering = FutureWord(bits: word.bits | FutureWord.delivering)
      #expect(after(delivering) { $0.register() }.0 == .fillSlot)
      let listed = FutureWord(bits: delivering.bits | FutureWord.listed)
      #expect(after(listed) { $0.register() }.0 == .append)
    }
  }

  @Test func deliveryTakesTheSlotThenTheListThenEnds() {
    var word = Self.pending
    _ = word.register()
    _ = word.register()
    #expect(word.finish() == .storeAndDeliver)
    #expect(word.nextDelivery() == .callSlot)
    #expect(word.nextDelivery() == .callNextListed)
    #expect(word.nextDelivery() == .callNextListed)
    word.endDelivery()
    #expect(!word.isDelivering)
    #expect(!word.isListed)
    #expect(word.nextDelivery() == .end)
    #expect(word.register() == .callNow)
  }

  @Test func anEndForgetsTheProducer() {
    let produced = FutureWord(bits: FutureWord.produced)
    #expect(produced.hasProducer)
    #expect(!after(produced) { $0.finish() }.1.hasProducer)
    #expect(!after(produced) { $0.cancel() }.1.hasProducer)
    #expect(after(produced) { $0.start() }.1.hasProducer)
  }

  @Test func statesHaveNames() {
    let states: [FutureState] = [.pending, .running, .cancelled, .finished]
    #expect(states.map(\.description) == ["pending", "running", "cancelled", "finished"])
  }
}
