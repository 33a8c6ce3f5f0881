import CPlatformSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How many processors this process may use: neither Dispatch nor Foundation know a container's limit.
enum CPUCount {
  /// Affinity and cgroup quota, whichever is less; at least 1. Read once.
  static let available: Int = max(1, min(affinity, cgroupQuota ?? Int.max))

  private static var affinity: Int {
    let count = Int(cf_affinity_count())
    return count > 0 ? count : Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }

  #if os(Linux)
  /// The quota of the process's control group, rounded up to whole processors; nil without one.
  private static var cgroupQuota: Int? {
    guard let membership = readSmallFile("/proc/self/cgroup") else { return nil }
    return quota(membership: membership, read: readSmallFile)
  }

  /// The tightest quota between the process's group and the root. `read` gives a file's text.
  static func quota(membership: String, read: (String) -> String?) -> Int? {
    var tightest: Int?
    func take(_ quota: Int, _ period: Int) {
      guard quota > 0, period > 0 else { return }
      tightest = min(tightest ?? Int.max, max(1, (quota + period - 1) / period))
    }
    for line in membership.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isV2 = fields[0] == "0" && fields[1].isEmpty
      guard isV2 || fields[1].split(separator: ",").contains("cpu") else { continue }
      // Inside a container the path is often that of the host and does not exist: the root's files then say it.
      for path in ancestors(of: String(fields[2])) {
        if isV2, let max = read("/sys/fs/cgroup\(path)/cpu.max") {
          let parts = max.split(whereSeparator: \.isWhitespace)
          if parts.count == 2, let quota = Int(parts[0]), let period = Int(parts[1]) { take(quota, period) }
        } else if !isV2, let quota = read("/sys/fs/cgroup/cpu\(path)/cpu.cfs_quota_us").flatMap(number),
          let period = read("/sys/fs/cgroup/cpu\(path)/cpu.cfs_period_us").flatMap(number)
        {
          take(quota, period)
        }
      }
    }
    return tightest
  }

  private static func number(_ text: String) -> Int? { Int(text.prefix { !$0.isWhitespace }) }

  private static func ancestors(of path: String) -> [String] {
    var result = [""]
    var current = ""
    for part in path.split(separator: "/") {
      current += "/" + part
      result.append(current)
    }
    return result
  }

  private static func readSmallFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { return nil }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
  #else
  private static var cgroupQuota: Int? { nil }
  #endif
}
