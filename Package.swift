// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "swift-concurrent-futures",
  // Synchronization's Mutex and Atomic and the TaskExecutor protocol set the floor.
  platforms: [.macOS(.v15), .iOS(.v18), .watchOS(.v11), .tvOS(.v18), .visionOS(.v2)],
  products: [
    .library(name: "ConcurrentFutures", targets: ["ConcurrentFutures"])
  ],
  targets: [
    .target(
      name: "ConcurrentFutures",
      dependencies: ["CPlatformSupport", "CProcessSupport"],
      swiftSettings: settings
    ),
    // What Swift cannot say itself: thread-local storage, futex waits, the pause instruction.
    .target(name: "CPlatformSupport"),
    // The constructor that turns a re-executed program into a worker, and descriptor passing.
    .target(name: "CProcessSupport"),
    // For tests: the C library under one name, whichever it is.
    .target(name: "FuturesTestLibc", path: "Tests/FuturesTestLibc", swiftSettings: settings),
    // For tests: gates between processes.
    .target(name: "CFuturesTestSupport", path: "Tests/CFuturesTestSupport"),
    .testTarget(
      name: "ConcurrentFuturesTests",
      dependencies: [
        "ConcurrentFutures", "CPlatformSupport", "CProcessSupport", "CFuturesTestSupport", "FuturesTestLibc",
      ],
      swiftSettings: settings
    ),
  ]
)
