import Foundation

/// The size of a stress test: a tenth of it where `CF_STRESS=reduced`, as in the sanitizer lanes.
func stress(_ size: Int) -> Int { isReduced ? size / 10 : size }

private let isReduced = ProcessInfo.processInfo.environment["CF_STRESS"] == "reduced"
