#if os(Linux) || os(macOS)
import CProcessSupport

/// What a worker is told before its first task.
struct WorkerSettings {
  /// `cp_set_limit`'s numbers and values.
  var limits: [(Int32, UInt64)] = []
  /// 0: no limit.
  var largestResidentSize: UInt64 = 0
  /// An `initialize` frame follows, and the worker is ready after it.
  var hasInitializer = false

  init() {}

  var bytes: [UInt8] {
    var writer = ReferenceWriter()
    writer.write(limits.count)
    for (limit, value) in limits {
      writer.write(Int(limit))
      writer.write(Int(clamping: value))
    }
    writer.write(Int(clamping: largestResidentSize))
    writer.write(hasInitializer ? 1 : 0)
    return writer.bytes
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    var reader = ReferenceReader(bytes)
    guard let count = reader.number(), (0...3).contains(count) else { return nil }
    for _ in 0..<count {
      guard let limit = reader.number(), (0...2).contains(limit), let value = reader.number() else { return nil }
      limits.append((Int32(limit), UInt64(clamping: value)))
    }
    guard let size = reader.number(), let initializer = reader.number() else { return nil }
    largestResidentSize = UInt64(clamping: size)
    hasInitializer = initializer == 1
  }
}

/// The value of the environment variable that makes a copy of the program a worker.
enum WorkerMark {
  /// The version of the protocol between parent and worker.
  private static let version = 2

  /// For a worker of the same build: the executable's device, inode, size and time.
  static let expected: String? = mark(of: cp_executable_path())
  /// For an explicitly named worker executable, whose identity the parent cannot know.
  static var anyBuild: String { "\(version):any" }

  private static func mark(of path: UnsafePointer<CChar>?) -> String? {
    guard let words = identity(of: path) else { return nil }
    return "\(version):" + words.map { String($0, radix: 36) }.joined(separator: ":")
  }

  private static func identity(of path: UnsafePointer<CChar>?) -> [UInt64]? {
    var words: [UInt64] = [0, 0, 0, 0]
    guard let path, cp_executable_identity(path, &words) else { return nil }
    return words
  }

  /// Whether an executable is the one that runs here.
  static func isThisProgram(_ path: String) -> Bool {
    guard let ours = identity(of: cp_executable_path()) else { return false }
    return path.withCString { identity(of: $0) } == ours
  }
}
#endif
