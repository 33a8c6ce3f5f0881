#if os(Linux) || os(macOS)
import Foundation
import Testing

@testable import ConcurrentFutures

private func double(_ number: Int) -> Int { number * 2 }

private struct Pair<Element: Codable & Sendable>: Codable, Sendable {
  var first: Element
  var second: Element
}

private struct Echo<Value: Codable & Sendable>: ProcessTask {
  var value: Value
  func run() -> Value { value }
}

enum Operation: ProcessTask {
  case add(Int, Int)
  case negate(Int)
  case zero

  func run() -> Int {
    switch self {
    case .add(let a, let b): a + b
    case .negate(let number): -number
    case .zero: 0
    }
  }
}

/// Refuses to encode, by an error that has a long value in it.
private struct Stubborn: Codable, Sendable {
  var number = 0
  func encode(to encoder: any Encoder) throws {
    throw EncodingError.invalidValue(
      Array(repeating: number, count: 100_000),
      EncodingError.Context(codingPath: encoder.codingPath, debugDescription: "It does not want to."))
  }
}

/// Foundation's types, which code themselves in many ways.
private struct Parcel: Codable, Sendable, Equatable {
  var date: Date
  var short: Data
  var long: Data
  var address: URL
  var number: UUID
  var price: Decimal
}

private func refusal<R>(_ future: Future<R>) async -> TaskEncodingError? {
  do {
    _ = try await future.value(within: .seconds(patience))
    return nil
  } catch { return error as? TaskEncodingError }
}

extension ProcessPools {
  /// What can travel between processes, and what those are told that cannot.
  @Suite struct Travelling {
    // MARK: functions

    #if DEBUG
    /// An optimised build gives such a reference no context, and it may travel.
    @Test func referencesToFunctionsAreRefusedWithTheRemedy() async throws {
      try await withPool(workers: 1) { pool in
        let error = await refusal(pool.submit(1, double))
        #expect(error?.subject == .closure)
        #expect(error?.description.contains("write `{ f($0) }` instead of `f`") == true)
        try await #expect(pool.submit(1) { double($0) }.value == 2)
      }
    }
    #endif

    // MARK: types

    @Test func privateAndLocalGenericTypesAreRefusedWithTheRemedy() async throws {
      struct Local<Element: Codable & Sendable>: Codable, Sendable { var element: Element }
      try await withPool(workers: 1) { pool in
        let pair = Pair(first: 1, second: 2)
        let refusals: [(TaskEncodingError?, of: TaskEncodingError.Subject, naming: String)] = [
          (await refusal(pool.submit(pair) { $0.first }), .argument, "Pair<Int>"),
          (await refusal(pool.submit([pair]) { $0.count }), .argument, "Pair<Int>"),
          (await refusal(pool.map([pair]) { $0.first }), .argument, "Pair<Int>"),
          (await refusal(pool.submit(1) { Pair(first: $0, second: $0) }), .result, "Pair<Int>"),
          (await refusal(pool.submit(Local(element: "a")) { $0.element }), .argument, "Local<String>"),
          (await refusal(pool.submit(Echo(value: 1))), .argument, "Echo<Int>"),
        ]
        for (error, subject, type) in refusals {
          let text = error?.description ?? "none"
          #expect(error?.subject == subject && text.contains(type), "\(text)")
          #expect(text.contains("Make that type internal or public"), "the remedy")
        }
        #expect(pool.workerProcessIdentifiers.isEmpty, "nothing was sent")
      }
    }

    @Test func enumsCanBeTasks() async throws {
      try await withPool(workers: 1) { pool in
        try await #expect(pool.submit(Operation.add(20, 22)).value == 42)
        try await #expect(pool.submit(Operation.negate(7)).value == -7)
        try await #expect(pool.submit(Operation.zero).value == 0)
      }
    }

    // MARK: values

    @Test func valuesThatRefuseToEncodeAreRefusedWithTheRemedy() async throws {
      try await withPool(workers: 1) { pool in
        let argument = await refusal(pool.submit(["list": [0, 1].map(Stubborn.init)]) { _ in 1 })
        let result = await refusal(pool.submit(1) { Stubborn(number: $0) })
        let undecodable = await refusal(pool.submit(1) { _ in Undecodable() })
        #expect(argument?.subject == .argument && result?.subject == .result && undecodable?.subject == .result)
        for error in [argument, result, undecodable] {
          let text = error?.description ?? ""
          #expect(text.contains("must encode and decode by what is in it alone"), "\(text)")
          #expect(text.contains("SharedArray"), "\(text)")
        }
        #expect(argument?.reason.contains("Array<Int> at list.[0] does not encode: It does not want to.") == true)
        #expect(argument?.description.contains("to. What travels must") == true, "one full stop")
        #expect(undecodable?.description.contains(". What travels must") == true)
      }
    }

    /// It may be as long as a payload can be.
    @Test func whatRefusesToEncodeIsNotWrittenOut() async throws {
      try await withPool(workers: 1) { pool in
        for error in [await refusal(pool.submit(Stubborn()) { _ in 1 }), await refusal(pool.submit { Stubborn() })] {
          #expect(error?.description.utf8.count ?? .max < 1000)
        }
      }
    }

    @Test func asManySharedArraysAsOneTaskCanCarryTravelAndOneMoreIsRefused() async throws {
      try await withPool(workers: 1) { pool in
        let arrays = try (0..<17).map { try SharedArray<Int>(repeating: $0, count: 1) }
        let sum = pool.submit(Array(arrays[..<16])) { $0.reduce(0) { $0 + $1[0] } }
        try await #expect(sum.value == 120)
        let tooMany = pool.submit(arrays) { $0.count }
        try #require(tooMany.isDone, "refused where it is submitted")
        let back = pool.submit(17) { try (0..<$0).map { try SharedArray<Int>(repeating: $0, count: 1) } }
        let (argument, result) = (await refusal(tooMany), await refusal(back))
        #expect(argument?.subject == .argument && result?.subject == .result)
        for error in [argument, result] {
          #expect(error?.description.contains("17 shared arrays; one task can carry 16") == true)
        }
      }
    }

    @Test func foundationTypesTravelBothWays() async throws {
      let parcel = Parcel(
        date: Date(timeIntervalSinceReferenceDate: 12345.678), short: Data((0..<100).map { UInt8($0) }),
        long: Data((0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }),
        address: try #require(URL(string: "https://example.org/a?b=c#d")), number: UUID(),
        price: try #require(Decimal(string: "123456789.987654321")))
      try await withPool(workers: 1) { pool in
        let back = try await pool.submit(parcel) { parcel -> Parcel in
          var other = parcel
          other.date += 60
          other.short.reverse()
          other.long.reverse()
          other.address.append(path: "e")
          other.price *= 2
          return other
        }.value
        var expected = parcel
        expected.date += 60
        expected.short.reverse()
        expected.long.reverse()
        expected.address.append(path: "e")
        expected.price *= 2
        let isSame = back == expected
        #expect(isSame)
      }
    }
  }
}
#endif
