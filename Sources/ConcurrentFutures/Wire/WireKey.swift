/// A coding key of no particular type, for coding paths and for the keys that the coder makes up itself.
struct WireKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(stringValue: String) {
    self.stringValue = stringValue
    intValue = nil
  }

  init(intValue: Int) {
    stringValue = String(intValue)
    self.intValue = intValue
  }

  init(stringValue: String, intValue: Int?) {
    self.stringValue = stringValue
    self.intValue = intValue
  }

  init(index: Int) {
    stringValue = "Index \(index)"
    intValue = index
  }

  /// The key that `superEncoder()` and `superDecoder()` stand for.
  static let parent = WireKey(stringValue: "super")
}

/// Where a value lies within its parent: the index of a key in the message's table, or a place in an array.
struct PathStep {
  let rawValue: Int32

  static let root = PathStep(rawValue: .min)

  static func key(_ index: Int) -> PathStep { PathStep(rawValue: Int32(truncatingIfNeeded: index)) }
  static func element(_ index: Int) -> PathStep { PathStep(rawValue: ~Int32(truncatingIfNeeded: index)) }

  /// The step as a key, with `table` naming the keys.
  func codingKey(_ table: (Int) -> WireKey) -> (any CodingKey)? {
    if rawValue == .min { return nil }
    return rawValue >= 0 ? table(Int(rawValue)) : WireKey(index: Int(~rawValue))
  }
}
