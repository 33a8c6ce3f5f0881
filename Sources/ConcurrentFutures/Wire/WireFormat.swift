/// The bytes of one encoded value, and of the message around it.
///
///     message  = 0x01 value                                   a value without keyed containers inside
///              | 0x02 tableOffset:u32 value [keyTable]        tableOffset counts from the start; 0 means no table
///     keyTable = count:varint { (utf8Count << 1 | hasInteger):varint utf8 [integer:i64] }
///     keyed    = tag length { keyIndex:varint value }
///     unkeyed  = tag length count { value | splice }
///     run      = 0xD0 element count:varint bytes              an array of trivial elements, as it lies in memory
///     splice   = 0xD1 element count:varint bytes              the same, as `count` elements of an unkeyed container
///     segment  = 0xD2 element index:varint byteCount:varint   a run whose bytes travel outside the message
///     element  = code:u8 [stride:varint]                      see `ElementCode`
///
/// Integers are little-endian. Every container carries its length, so a reader can pass over any value without looking
/// inside: that is what makes missing, extra and reordered keys cheap. The key table comes last because a key is only
/// known when it is met, and a reader that skipped a container would miss keys that were defined within.
///
/// Both ends are the same build of the same program, so there is no negotiation; the first byte is only there to refuse
/// garbage early.
enum WireFormat {
  static let plainMessage: UInt8 = 1
  static let keyedMessage: UInt8 = 2
  static let keyedMessageHeaderCount = 5

  /// The largest message that the format can express: offsets are 32 bits wide.
  static let maximumMessageByteCount = Int(UInt32.max) - 64
}

/// The first byte of a value. Bytes below 0x80 are the integers 0 to 127.
enum Tag {
  static let firstString: UInt8 = 0x80  // ... 0x9F: up to 31 bytes of UTF-8
  static let firstSmallNegative: UInt8 = 0xA0  // ... 0xAF: -1 to -16
  static let null: UInt8 = 0xB0
  static let no: UInt8 = 0xB1
  static let yes: UInt8 = 0xB2
  static let float: UInt8 = 0xB3
  static let double: UInt8 = 0xB4
  static let firstPositive: UInt8 = 0xB8  // ... 0xBF: 1 to 8 bytes
  static let firstNegative: UInt8 = 0xC0  // ... 0xC7: 1 to 8 bytes of the complement
  static let int128: UInt8 = 0xC8
  static let uint128: UInt8 = 0xC9
  static let string8: UInt8 = 0xCA
  static let string32: UInt8 = 0xCB
  static let keyed8: UInt8 = 0xCC
  static let keyed32: UInt8 = 0xCD
  static let unkeyed8: UInt8 = 0xCE
  static let unkeyed32: UInt8 = 0xCF
  static let run: UInt8 = 0xD0
  static let splice: UInt8 = 0xD1
  static let segment: UInt8 = 0xD2

  /// What a reader of an error message calls a value with this tag.
  static func name(_ tag: UInt8) -> String {
    switch tag {
    case ..<firstString, firstSmallNegative..<null, firstPositive...uint128: "an integer"
    case firstString..<firstSmallNegative, string8, string32: "a string"
    case null: "nil"
    case no, yes: "a Bool"
    case float: "a Float"
    case double: "a Double"
    case keyed8, keyed32: "a keyed container"
    case unkeyed8, unkeyed32, run, segment: "an unkeyed container"
    default: "an unknown tag (\(tag))"
    }
  }
}

/// Bounds that hold before anything is allocated and before the stack gets deep.
struct WireLimits: Sendable {
  /// How many values may lie within each other.
  ///
  /// A level is one call of a type's `encode(to:)` or `init(from:)`, or one nested container.
  var maximumDepth = 512

  /// How much stack one encode or decode may use, whatever the depth.
  ///
  /// Frames of unoptimised code are several times larger than those of optimised code, so a count of levels alone
  /// cannot protect the 512 KiB of a secondary thread.
  var maximumStackByteCount = 320 << 10

  /// The largest message that is written or read, without the segments.
  var maximumMessageByteCount = WireFormat.maximumMessageByteCount

  /// The default limits.
  static let standard = WireLimits()
}
