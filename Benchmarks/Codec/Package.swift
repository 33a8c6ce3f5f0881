// swift-tools-version: 6.2
import PackageDescription

// The coder is internal to the library. `Sources/Codec/Wire` is a link to its folder, with a public shim beside it, so
// that the measured types live in another module than the coder, as a user's do.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "codec-benchmark",
  platforms: [.macOS(.v15)],
  targets: [
    .target(name: "Codec", swiftSettings: settings),
    .executableTarget(name: "CodecBenchmark", dependencies: ["Codec"], swiftSettings: settings),
  ]
)
