import Testing

@testable import ConcurrentFutures

/// Random sequences of events, against a model that is simple enough to be right.
@Suite struct ModelTests {
  /// What a future should be, in the plainest words.
  private struct Model {
    var state = FutureState.pending
    var value: Int?
    var error: Int?
    var pending: [Int] = []
    var called: [Int] = []

    var isDone: Bool { state == .cancelled || state == .finished }

    mutating func end(_ state: FutureState, value: Int? = nil, error: Int? = nil) -> Bool {
      if isDone { return false }
      self.state = state
      self.value = value
      self.error = error
      called += pending
      pending = []
      return true
    }
  }

  @Test(arguments: 0..<20) func futureBehavesAsItsModel(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    for _ in 0..<100 {
      let future = Future<Int>()
      let log = Log<Int>()
      var model = Model()
      var tokens: [DoneCallbackToken] = []
      let steps = Int.random(in: 1...30, using: &random)
      for step in 0..<steps {
        switch Int.random(in: 0..<40, using: &random) {
        case 0: #expect(future.complete(with: .success(step)) == model.end(.finished, value: step))
        case 1: #expect(future.complete(with: .failure(TestError(step))) == model.end(.finished, error: step))
        case 2: #expect(((try? future.setResult(step)) != nil) == model.end(.finished, value: step))
        case 3: #expect(((try? future.setError(TestError(step))) != nil) == model.end(.finished, error: step))
        case 4:
          let expected = model.state == .pending ? model.end(.cancelled) : model.state == .cancelled
          #expect(future.cancel() == expected)
        case 5:
          let expected: Bool? =
            switch model.state {
            case .pending: true
            case .cancelled: false
            default: nil
            }
          if model.state == .pending { model.state = .running }
          #expect((try? future.setRunningOrNotifyCancel()) == expected)
        case 6..<18:
          let id = tokens.count
          tokens.append(future.addDoneCallback { _ in log.append(id) })
          if model.isDone { model.called.append(id) } else { model.pending.append(id) }
        case 18..<30 where !tokens.isEmpty:
          let id = Int.random(in: 0..<tokens.count, using: &random)
          let expected = model.pending.contains(id)
          model.pending.removeAll { $0 == id }
          #expect(future.removeDoneCallback(tokens[id]) == expected)
        default: break
        }
        #expect(future.state == model.state)
        #expect(future.isDone == model.isDone)
        #expect(future.valueIfDone == model.value)
        #expect((future.errorIfDone as? TestError)?.id == model.error)
        #expect(log.entries == model.called)
        #expect(future.registrationCount == model.pending.count)
      }
    }
  }

  /// Random chains end as a plain evaluation of the same steps does, whatever the order of making and completing them.
  @Test(arguments: 0..<10) func chainsEndAsTheirSteps(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed) + 1000)
    for _ in 0..<200 {
      let source = Future<Int>()
      var expected: Result<Int, TestError> = Bool.random(using: &random) ? .success(0) : .failure(TestError(0))
      let start = expected.mapError { $0 as any Error }
      let isDoneBefore = Bool.random(using: &random)
      if isDoneBefore { source.complete(with: start) }
      var last = source
      var inner: [() -> Void] = []
      for step in 1...Int.random(in: 1...20, using: &random) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
          last = last.map { $0 + step }
          expected = expected.map { $0 + step }
        case 1:
          last = last.map { _ in throw TestError(step) }
          expected = expected.flatMap { _ in .failure(TestError(step)) }
        case 2:
          last = last.recover { ($0 as? TestError)?.id ?? -1 }
          expected = .success((try? expected.get()) ?? (expected.failure?.id ?? -1))
        case 3:
          let late = Future<Int>()
          inner.append { late.complete(with: .success(step)) }
          last = last.flatMap { value in late.map { $0 + value } }
          expected = expected.map { $0 + step }
        case 4:
          last = last.shielded()
        default:
          last = last.flatMap { .succeeded($0 * 2) }
          expected = expected.map { $0 * 2 }
        }
      }
      inner.shuffle(using: &random)
      if !isDoneBefore { inner.append { source.complete(with: start) } }
      for complete in inner { complete() }
      switch expected {
      case .success(let value): #expect(last.valueIfDone == value)
      case .failure(let error): #expect(last.errorIfDone as? TestError == error)
      }
    }
  }
}

extension Result {
  fileprivate var failure: Failure? {
    if case .failure(let error) = self { error } else { nil }
  }
}
