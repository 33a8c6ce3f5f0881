import Foundation

/// The machine in words, without anything that names it.
enum Machine {
  static var description: String {
    var parts = ["\(ProcessInfo.processInfo.activeProcessorCount) processors"]
    if let model = processorModel { parts[0] += " (\(model))" }
    parts.append(architecture)
    parts.append(String(format: "%.0f GiB of memory", Double(ProcessInfo.processInfo.physicalMemory) / 1_073_741_824))
    if let virtualization { parts.append(virtualization) }
    parts.append(system)
    parts.append(compiler)
    return "Machine: \(parts.joined(separator: ", "))."
  }

  /// How busy it is by now; nil if it is idle.
  static var load: String? {
    var averages = [0.0]
    guard getloadavg(&averages, 1) == 1, averages[0] > 0.25 * Double(ProcessInfo.processInfo.activeProcessorCount)
    else {
      return nil
    }
    return String(
      format: "The machine was doing other things when the run began (load average %.1f): take the ratios for hints.",
      averages[0])
  }

  private static func lines(_ path: String) -> [Substring] {
    ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n")
  }

  /// The value of the first line that starts so, after its colon or equals sign.
  private static func value(_ path: String, _ key: String) -> String? {
    lines(path).first { $0.hasPrefix(key) }?.split(maxSplits: 1) { $0 == ":" || $0 == "=" }.last.map {
      $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t\""))
    }
  }

  private static var processorModel: String? { value("/proc/cpuinfo", "model name") }

  private static var virtualization: String? {
    lines("/proc/cpuinfo").contains { $0.hasPrefix("flags") && $0.contains(" hypervisor") } ? "virtual machine" : nil
  }

  private static var system: String {
    let version = ProcessInfo.processInfo.operatingSystemVersion
    let kernel = "\(version.majorVersion).\(version.minorVersion)"
    return value("/etc/os-release", "PRETTY_NAME").map { "\($0), Linux \(kernel)" }
      ?? ProcessInfo.processInfo.operatingSystemVersionString
  }

  private static var architecture: String {
    #if arch(x86_64)
    "x86-64"
    #elseif arch(arm64)
    "arm64"
    #else
    "another architecture"
    #endif
  }

  /// The compiler on the path, which `Benchmarks/run` uses; what this was compiled with tells no patch release.
  private static var compiler: String {
    let answer = try? output(of: ["/usr/bin/env", "swift", "--version"], timeLimit: 20)
    let words = String(decoding: answer ?? Data(), as: UTF8.self).split { $0 == " " || $0 == "\n" }
    guard let place = words.firstIndex(of: "version"), place + 1 < words.count else { return "Swift" }
    return "Swift \(words[place + 1])"
  }
}
