// swift-tools-version: 6.2
import PackageDescription

// What a process pool does for each task is not public, so the sources themselves are linked in; without what starts workers.
let package = Package(
  name: "process-guards",
  platforms: [.macOS(.v15)],
  targets: [
    .target(name: "CProcessSupport", exclude: ["divert.c", "worker.c", "main_queue.c"]),
    .executableTarget(
      name: "processpaths", dependencies: ["CProcessSupport"],
      swiftSettings: [
        .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
      ]),
  ]
)
