import Codec

/// What goes to a worker process and comes back: the argument of a small task, and a record with some of everything.
private struct Record: Codable {
  enum Kind: Codable {
    case plain
    case named(String, weight: Double)
  }
  var number: Int
  var name: String
  var kind: Kind
  var note: String?
  var samples: [Double]
  var parts: [[Int]]

  init(_ number: Int) {
    self.number = number
    name = "record \(number & 7)"
    kind = number & 1 == 0 ? .plain : .named("x", weight: 0.5)
    note = number & 3 == 0 ? "a note" : nil
    samples = [1, 2, 3, 4]
    parts = [[1, 2], [], [3]]
  }
}

/// Asks a large container for keys that it does not have: what each takes must not grow with the container.
private struct Seeker: Decodable {
  struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
  nonisolated(unsafe) static var wanted = 0
  var missing = 0

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    let keys = (0..<8).map { Key(stringValue: "absent\($0)") }
    for i in 0..<Seeker.wanted where try container.decodeIfPresent(Int.self, forKey: keys[i & 7]) == nil {
      missing += i
    }
  }
}

private let largeContainer = Dictionary(uniqueKeysWithValues: (0..<1000).map { ("key\($0)", $0) })

nonisolated(unsafe) private let coder = Coder()

/// Encodes, and decodes if asked to, so that what decoding alone takes is the difference.
private func code<T: Codable>(_ count: Int, decoding: Bool, _ value: (Int) -> T, _ number: (T) -> Int) -> Int {
  var sum = 0
  for i in 0..<count {
    let value = value(i)
    _ = try! coder.encode(value)
    sum += number(decoding ? try! coder.decode(T.self) : value)
  }
  return sum
}

let codecPaths: [Path] = [
  Path(name: "encode-integer") { code($0, decoding: false, { $0 }, { $0 }) },
  Path(name: "encode-decode-integer") { code($0, decoding: true, { $0 }, { $0 }) },
  Path(name: "encode-record") { code($0, decoding: false, Record.init, \.number) },
  Path(name: "encode-decode-record") { code($0, decoding: true, Record.init, \.number) },
  Path(name: "decode-missing-key") { count in
    _ = try! coder.encode(largeContainer)
    Seeker.wanted = count
    return try! coder.decode(Seeker.self).missing
  },
]
