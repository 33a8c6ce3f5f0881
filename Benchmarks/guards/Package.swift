// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the guards build quickly and without the contestants of the comparison.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "guards",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "swift-concurrent-futures", path: "../..")],
  targets: [
    // What is counted. No Foundation: it would be most of what is loaded.
    .executableTarget(
      name: "hotpaths",
      dependencies: [.product(name: "ConcurrentFutures", package: "swift-concurrent-futures"), "Codec"],
      swiftSettings: settings
    ),
    // The library's coder, which is not public: its sources.
    .target(name: "Codec", swiftSettings: settings + [.enableUpcomingFeature("InternalImportsByDefault")]),
    // Who counts.
    .executableTarget(name: "check", swiftSettings: settings),
  ]
)
