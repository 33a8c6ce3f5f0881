// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "swift-concurrent-futures", path: ".."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    .executableTarget(
      name: "compare",
      dependencies: [
        "CMeasure", "Codec",
        .product(name: "ConcurrentFutures", package: "swift-concurrent-futures"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      resources: [.copy("Resources")],
      swiftSettings: settings
    ),
    // The clocks and the heap's size: C because the names differ between platforms.
    .target(name: "CMeasure"),
    // The library's coder, which is internal to it: a link to its folder with a public shim beside it, so that the measured types
    // live in another module than the coder, as a user's do.
    .target(name: "Codec", swiftSettings: settings + [.enableUpcomingFeature("InternalImportsByDefault")]),
  ]
)
