import Codec
import ConcurrentFutures

extension OurLibrary: RunsInProcesses {
  var keepsProcesses: Bool { true }

  private struct Processes: ProcessRunning {
    let pool: ProcessPool

    var identifiers: [Int32] { pool.workerProcessIdentifiers }

    func increment(_ value: Int) throws -> Int { try pool.submit(value) { compare.increment($0) }.wait() }

    func incrementEach(_ range: Range<Int>) throws -> Int {
      let futures = range.map { i in pool.submit(i) { compare.increment($0) } }
      return try futures.reduce(0) { try $0 + $1.wait() }
    }

    var maps: [(variant: String?, map: (Range<Int>) throws -> Int)] {
      [
        ("1,000 each", { try pool.map($0, chunkSize: 1000) { compare.increment($0) }.wait().reduce(0, +) }),
        ("own sizes", { try pool.map($0) { compare.increment($0) }.wait().reduce(0, +) }),
      ]
    }

    func makeDoublings(_ numbers: [Double]) throws -> [(variant: String?, double: () throws -> Double)] {
      let shared = try SharedArray(numbers)
      return [
        ("array", { try pool.submit(numbers) { doubled($0) }.wait()[numbers.count - 1] }),
        (
          "SharedArray",
          {
            let count = try pool.submit(shared) { array in
              array.withUnsafeMutableBufferPointer { numbers in
                for i in numbers.indices { numbers[i] *= 2 }
                return numbers.count
              }
            }.wait()
            return shared[count - 1]
          }
        ),
      ]
    }

    func stop() { pool.shutdownAndWait() }
  }

  func makeProcesses(_ count: Int) -> any ProcessRunning { Processes(pool: ProcessPool(maxWorkers: count)) }
}

extension OurLibrary: ComputesInParallel {
  func makeParallel(workers: Int) -> [ParallelCalls] {
    let threads = ThreadPool(maxWorkers: workers)
    let processes = ProcessPool(maxWorkers: workers)
    return [
      ParallelCalls(variant: "threads") { calls, argument in
        let futures = (0..<calls).map { _ in threads.submit { fibonacci(argument) } }
        return try gather(futures).wait().reduce(0, +)
      },
      ParallelCalls(variant: "processes", workers: { processes.workerProcessIdentifiers }) { calls, argument in
        let futures = (0..<calls).map { _ in processes.submit(argument) { fibonacci($0) } }
        return try gather(futures).wait().reduce(0, +)
      },
    ]
  }
}

extension OurLibrary: Codes {
  private struct Wire: RecordCoder {
    let coder = Coder()
    func encode(_ records: [Record]) throws -> Int { try coder.encode(records) }
    func decode() throws -> [Record] { try coder.decode([Record].self) }
  }

  func makeCoders() -> [(variant: String, coder: any RecordCoder)] { [("wire coder", Wire())] }
}
