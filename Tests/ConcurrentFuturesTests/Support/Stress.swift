import Foundation

/// The size of a stress test: a tenth of it where `CF_STRESS=reduced`, as in the sanitizer lanes.
func stress(_ size: Int, extended: Int? = nil) -> Int {
  switch ProcessInfo.processInfo.environment["CF_STRESS"] {
  case "reduced": size / 10
  // What takes half a minute, once: in CI's lane of the release tests.
  case "extended": extended ?? size
  default: size
  }
}
