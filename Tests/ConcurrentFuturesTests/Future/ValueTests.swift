import Testing

@testable import ConcurrentFutures

/// Values of every layout go in, come out unharmed as often as they are asked for, and are released.
@Suite struct ValueTests {
  protocol Named: Sendable {
    var name: String { get }
  }

  struct Large: Equatable, Named {
    var (a, b, c, d) = (1, 2, 3, 4)
    var name = "a string that does not fit into sixteen bytes"
  }

  private func roundTrip<Value: Sendable>(_ value: Value, _ isSame: (Value) -> Bool) async throws {
    for way in 0..<4 {
      let future: Future<Value>
      switch way {
      case 0: future = .succeeded(value)
      case 1:
        future = Future()
        try future.setResult(value)
      case 2:
        future = Future()
        future.complete(with: .success(value))
      default:
        future = Future(body: { value })
        future.runBody()
      }
      #expect(isSame(try future.resultIfDone!.get()))
      #expect(isSame(try await future.value))
      #expect(isSame(try await onThread { try future.wait() }))
      #expect(isSame(try await future.map { $0 }.value))
      #expect(isSame(try await gather([future, future]).value[1]))
      #expect(future.description.hasPrefix("Future<\(Value.self)>(finished: "))
    }
  }

  @Test func voidAndEmpty() async throws {
    try await roundTrip(()) { _ in true }
    struct Empty: Sendable {}
    try await roundTrip(Empty()) { _ in true }
    let void = Future<Void>()
    try void.setResult(())
    #expect(void.isDone)
  }

  @Test func smallValues() async throws {
    try await roundTrip(UInt8(200)) { $0 == 200 }
    try await roundTrip(Int.min) { $0 == .min }
    try await roundTrip((1, 2)) { $0 == (1, 2) }
    try await roundTrip(true) { $0 }
    try await roundTrip("short") { $0 == "short" }
    try await roundTrip("a string that lives on the heap for sure") { $0.count == 40 }
    try await roundTrip([1, 2, 3]) { $0 == [1, 2, 3] }
  }

  @Test func largeValues() async throws {
    try await roundTrip(Large()) { $0 == Large() }
    try await roundTrip((1, 2, 3)) { $0 == (1, 2, 3) }
    try await roundTrip((UInt64(1), UInt64(2), UInt8(3))) { $0 == (1, 2, 3) }
  }

  @Test func overAlignedValues() async throws {
    let wide = SIMD8<Double>(1, 2, 3, 4, 5, 6, 7, 8)
    try await roundTrip(wide) { $0 == wide }
    try await roundTrip(SIMD2<Double>(1, 2)) { $0 == SIMD2(1, 2) }
    try await roundTrip(SIMD16<Float>(repeating: 0.5)) { $0 == SIMD16(repeating: 0.5) }
  }

  @Test func optionals() async throws {
    try await roundTrip(Int?.none) { $0 == nil }
    try await roundTrip(Int?.some(3)) { $0 == 3 }
    try await roundTrip(Int??.some(nil)) { $0 == .some(nil) }
    try await roundTrip(String?.none) { $0 == nil }
  }

  @Test func existentialsAndClosures() async throws {
    let any: any Named = Large()
    try await roundTrip(any) { $0 as? Large == Large() }
    let error: any Error = TestError(4)
    try await roundTrip(error) { $0 as? TestError == TestError(4) }
    let closure: @Sendable (Int) -> Int = { $0 + 1 }
    try await roundTrip(closure) { $0(1) == 2 }
    try await roundTrip(Result<Int, any Error>.failure(TestError(1))) {
      if case .failure(let error) = $0 { error as? TestError == TestError(1) } else { false }
    }
  }

  @Test func futuresOfFutures() async throws {
    let inner = Future.succeeded(5)
    try await roundTrip(inner) { $0 === inner }
    #expect(try await Future.succeeded(inner).flatMap { $0 }.value == 5)
  }

  enum Holding: CaseIterable {
    case object, optional, existential, large, closure, array, nested
  }

  /// Every kind of value is released exactly once, whichever way its future ended and was read.
  @Test(arguments: Holding.allCases) func valuesAreReleased(holding: Holding) async throws {
    let live = LiveCount()
    switch holding {
    case .object: try await useUp { live.probe() }
    case .optional: try await useUp { Optional(live.probe()) }
    case .existential: try await useUp { live.probe() as any Error }
    case .large: try await useUp { (live.probe(), live.probe(), live.probe(), 1) }
    case .closure:
      try await useUp { () -> @Sendable () -> Void in
        let probe = live.probe()
        return { probe.touch() }
      }
    case .array: try await useUp { [live.probe(), live.probe()] }
    case .nested: try await useUp { Future.succeeded(live.probe()) }
    }
    #expect(live.total > 0)
    #expect(live.count == 0)
  }

  private func useUp<Value: Sendable>(_ make: @escaping @Sendable () -> Value) async throws {
    do { _ = Future.succeeded(make()) }
    do {
      let future = Future<Value>()
      try future.setResult(make())
      _ = try await future.value
      _ = try await onThread { try future.wait() }
      _ = future.resultIfDone
      #expect(throws: InvalidStateError.self) { try future.setResult(make()) }
    }
    do {
      let future = Future<Value>()
      future.complete(with: .success(make()))
      future.complete(with: .success(make()))
    }
    do {
      let future = Future(body: make)
      future.runBody()
    }
    do {
      let future = Future(operation: { make() })
      _ = try await future.value
    }
    _ = try await gather([Future.succeeded(make()), Future.succeeded(make())]).value
    _ = try await Future.succeeded(make()).map { $0 }.recover { _ in make() }.shielded().value
    let cancelled = Future<Value>()
    cancelled.cancel()
    cancelled.complete(with: .success(make()))
  }
}

/// The value's memory inside the future, which is read by address.
@Suite struct PayloadTests {
  @Test func payloadIsWhereItsReadersLook() {
    let future = Future<Int>()
    let start = UnsafeRawPointer(Unmanaged.passUnretained(future).toOpaque())
    let payload = withUnsafeMutablePointer(to: &future.payload) { UnsafeRawPointer($0) }
    #expect(payload - start == _FutureCore.payloadOffset)
  }

  /// Optimised code once released the future, and with it the value, before it had retained what it returned.
  @Test func valueOutlivesTheFutureThatItIsReadFrom() async throws {
    let pool = ThreadPool(maxWorkers: 2)
    for round in 0..<2000 {
      let array = try await onThread { try pool.submit { [Int](repeating: round, count: 100) }.wait() }
      #expect(array.count == 100 && array[99] == round)
      let large = try await pool.submit { LargeValue(first: "\(round)", second: [round], third: "third") }.value
      #expect(large.first == "\(round)" && large.second == [round])
      let immediate = Future<[String]>.succeeded(["a", "\(round)"]).resultIfDone
      #expect(try immediate?.get() == ["a", "\(round)"])
    }
    await pool.shutdown()
  }

  private struct LargeValue: Sendable {
    let first: String
    let second: [Int]
    let third: String
  }
}
