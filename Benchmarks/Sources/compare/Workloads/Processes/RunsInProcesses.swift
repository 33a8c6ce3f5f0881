/// Can run tasks in other processes.
protocol RunsInProcesses: Contestant {
  /// Whether processes wait for the next task; otherwise each task has one of its own.
  var keepsProcesses: Bool { get }
  /// Something that has so many processes at once.
  func makeProcesses(_ count: Int) -> any ProcessRunning
}

protocol ProcessRunning {
  /// The processes that run now and are not to end before `stop`: their processor time counts.
  var identifiers: [Int32] { get }
  /// Runs `increment` in a process and waits for its result.
  func increment(_ value: Int) throws -> Int
  /// Submits `increment(i)` for each `i`, one by one, waits for all, and returns the sum of the results.
  func incrementEach(_ range: Range<Int>) throws -> Int
  /// Ways to do the same for whole chunks of 1,000, by their names.
  var maps: [(variant: String?, map: (Range<Int>) throws -> Int)] { get }
  /// Ways to have so many numbers doubled by a process, by their names. Each call does that once and returns the last number.
  func makeDoublings(_ numbers: [Double]) throws -> [(variant: String?, double: () throws -> Double)]
  /// Ends the processes and waits for that.
  func stop()
}

/// The work of a process that doubles numbers.
func doubled(_ numbers: [Double]) -> [Double] { numbers.map { $0 * 2 } }
