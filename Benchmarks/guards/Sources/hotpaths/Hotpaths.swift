/// `hotpaths NAME COUNT` does one hot path so many times and nothing else; `hotpaths` lists the names.
///
/// The paths run in one thread at a time, so that the instructions they take are the same in every run: nobody waits
/// for another thread in the part that is repeated.
@main
enum Hotpaths {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, let path = paths.first(where: { $0.name == arguments[1] }),
      let count = Int(arguments[2])
    else {
      for path in paths { print(path.name) }
      return
    }
    let sum = path.run(count)
    precondition(sum == path.expected(count), "\(path.name) gave \(sum) instead of \(path.expected(count))")
  }
}

struct Path: Sendable {
  var name: String
  /// What `run` must return.
  var expected: @Sendable (Int) -> Int = { $0 * ($0 - 1) / 2 }
  var run: @Sendable (Int) -> Int
}

let paths: [Path] = futurePaths + combinatorPaths + poolPaths + codecPaths
