// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let library = Target.Dependency.product(name: "ConcurrentFutures", package: "swift-concurrent-futures")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [
    // Named, because the directory of a clone may have any name.
    .package(name: "swift-concurrent-futures", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
  ],
  targets: [
    // SHA-256 of every file below a directory, on a thread pool.
    .executableTarget(
      name: "checksums",
      dependencies: [library, arguments, .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings
    ),
    // What blocking calls do to a Task that should wake every 10 ms.
    .executableTarget(name: "heartbeat", dependencies: [library, arguments], swiftSettings: settings),
    // A picture, computed in bands by worker processes.
    .executableTarget(name: "mandelbrot", dependencies: [library, arguments], swiftSettings: settings),
    // A decoder in C that crashes and hangs on some of its inputs, run where that does no harm.
    .executableTarget(
      name: "crashproof", dependencies: [library, arguments, "CBitmap", "BytePaths"], swiftSettings: settings),
    .target(name: "CBitmap"),
    // The words of many files, counted in threads or in processes by the same code.
    .executableTarget(name: "wordcount", dependencies: [library, arguments, "BytePaths"], swiftSettings: settings),
    // Names of files that need not be UTF-8.
    .target(name: "BytePaths", swiftSettings: settings),
    // The Swift of README.md and Documentation, compiled, run, and compared with the text.
    .executableTarget(name: "snippets", dependencies: [library], swiftSettings: settings),
  ]
)
