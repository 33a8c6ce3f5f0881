import Foundation
import Synchronization

/// What Foundation has for what the library does beyond threads: `Process`, one for each task, and its coders.
struct FoundationContestant: Contestant {
  let name = "Foundation"
  let share = 0.005
}

extension FoundationContestant: RunsInProcesses {
  var keepsProcesses: Bool { false }

  private struct Processes: ProcessRunning {
    let count: Int

    var identifiers: [Int32] { [] }

    func increment(_ value: Int) throws -> Int { try spawn(.increment, [value])[0] }

    func incrementEach(_ range: Range<Int>) throws -> Int {
      try sum(of: range.count) { try increment(range.lowerBound + $0) }
    }

    var maps: [(variant: String?, map: (Range<Int>) throws -> Int)] {
      [
        (
          nil,
          { range in
            try sum(of: (range.count + 999) / 1000) { chunk in
              let start = range.lowerBound + chunk * 1000
              return try spawn(.increment, Array(start..<min(start + 1000, range.upperBound))).reduce(0, +)
            }
          }
        )
      ]
    }

    func makeDoublings(_ numbers: [Double]) throws -> [(variant: String?, double: () throws -> Double)] {
      [(nil, { try spawn(.double, numbers)[numbers.count - 1] })]
    }

    func stop() {}

    /// The sum of a body's values, by as many threads as processes are to run at once.
    private func sum(of calls: Int, _ body: @Sendable (Int) throws -> Int) throws -> Int {
      let result = Mutex<Result<Int, any Error>>(.success(0))
      DispatchQueue.concurrentPerform(iterations: count) { thread in
        let part = Result { try stride(from: thread, to: calls, by: count).reduce(0) { try $0 + body($1) } }
        result.withLock { result in
          result = Result { [result] in try result.get() + part.get() }
        }
      }
      return try result.withLock { try $0.get() }
    }
  }

  func makeProcesses(_ count: Int) -> any ProcessRunning { Processes(count: count) }
}

/// Runs this program as a `SpawnedTask` with some numbers, and reads the numbers that it answers.
private func spawn<Number: BitwiseCopyable>(_ task: SpawnedTask, _ numbers: [Number]) throws -> [Number] {
  let child = Process()
  child.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
  child.arguments = [SpawnedTask.mark, task.rawValue]
  let input = Pipe()
  let output = Pipe()
  child.standardInput = input
  child.standardOutput = output
  let wait = try start(child)
  // It answers when it has read all, so nobody waits for each other.
  try input.fileHandleForWriting.write(contentsOf: numbers.withUnsafeBytes { Data($0) })
  try input.fileHandleForWriting.close()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  wait()
  guard child.terminationStatus == 0, data.count == numbers.count * MemoryLayout<Number>.stride else {
    throw NoFigure(reason: "the process ended with \(child.terminationStatus) and \(data.count) bytes")
  }
  return data.withUnsafeBytes { Array($0.bindMemory(to: Number.self)) }
}

/// The task of a process that runs one and ends.
enum SpawnedTask: String {
  case increment
  case double

  /// The first argument of such a process.
  static let mark = "spawned-task"

  /// Reads numbers from standard input to its end, and writes the answers.
  func run() throws {
    let data = FileHandle.standardInput.readDataToEndOfFile()
    let answer: Data = data.withUnsafeBytes { bytes in
      switch self {
      case .increment: bytes.bindMemory(to: Int.self).map { compare.increment($0) }.withUnsafeBytes { Data($0) }
      case .double: doubled(Array(bytes.bindMemory(to: Double.self))).withUnsafeBytes { Data($0) }
      }
    }
    try FileHandle.standardOutput.write(contentsOf: answer)
  }
}

extension FoundationContestant: Codes {
  private struct JSON: RecordCoder {
    var data = Data()

    mutating func encode(_ records: [Record]) throws -> Int {
      data = try JSONEncoder().encode(records)
      return data.count
    }

    func decode() throws -> [Record] { try JSONDecoder().decode([Record].self, from: data) }
  }

  private struct PropertyList: RecordCoder {
    var data = Data()

    mutating func encode(_ records: [Record]) throws -> Int {
      let encoder = PropertyListEncoder()
      encoder.outputFormat = .binary
      data = try encoder.encode(records)
      return data.count
    }

    func decode() throws -> [Record] { try PropertyListDecoder().decode([Record].self, from: data) }
  }

  func makeCoders() -> [(variant: String, coder: any RecordCoder)] {
    [("JSONEncoder", JSON()), ("PropertyListEncoder, binary", PropertyList())]
  }
}
