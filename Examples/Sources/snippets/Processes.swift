import ConcurrentFutures

private struct Picture: Codable, Sendable {
  var width = 8
  var height = 8
  func scaled(by factor: Int) -> Picture { Picture(width: width * factor, height: height * factor) }
}

private struct PictureError: Error, Codable { var message: String }

private func decode(_ path: String) throws -> Picture {
  if path == "damaged" { throw PictureError(message: "not a picture") }
  if path == "crash" { fatalError("a decoder that crashes") }
  return Picture()
}

private func readText(_ path: String) throws -> String { "four words in it" }
private func show(_ picture: Picture) {}

// snippet: a task with a name
struct CountWords: ProcessTask {
  var path: String
  func run() throws -> Int { try readText(path).split(separator: " ").count }
}

func countWords(in paths: [String], on pool: some TaskPool) async throws -> [Int] {  // a ThreadPool or a ProcessPool
  try await gather(paths.map { pool.submit(CountWords(path: $0)) }).value
}
// end

// snippet: a row of a shared picture
struct Row: ProcessTask {
  var picture: SharedArray<Float>
  var width: Int
  var y: Int

  func run() -> Float {
    picture.withUnsafeMutableBufferPointer { pixels in
      for x in 0..<width { pixels[y * width + x] = Float(x ^ y) }
      return pixels[y * width..<(y + 1) * width].max() ?? 0
    }
  }
}
// end

func runProcesses() async throws {
  let paths = ["cat.bmp", "dog.bmp"]

  do {
    let path = "cat.bmp"
    // snippet: processes
    let pool = ProcessPool()  // its workers start when there is work
    let picture = try await pool.submit(path) { try decode($0) }.value
    // end
    expect(picture.width == 8)
  }

  let pool = ProcessPool(maxWorkers: 2)
  for path in ["cat.bmp", "damaged"] {
    // snippet: faults
    do {
      show(try await pool.submit(path, timeout: .seconds(5)) { try decode($0) }.value)
    } catch let error as WorkerTerminatedError {
      print(error.reason)  // was ended by SIGSEGV (signal 11)
      print(error.standardErrorTail)  // what the decoder wrote last
    } catch is TimeoutError {
      print("\(path) took longer than five seconds, and was stopped")
    } catch let error as PictureError {  // what decode threw: errors that are Codable arrive as themselves
      print(error.message)
    }
    // end
  }

  do {
    let path = "cat.bmp"
    // snippet: stopping
    let work = pool.submit(path, retries: 2) { try decode($0) }  // again if its worker dies, not if it throws
    work.cancel()  // also while it runs: SIGTERM, and SIGKILL after a grace period
    let picture = try await pool.run(path) { try decode($0) }  // stopped when this Task is cancelled
    // end
    expect(picture.width == 8 && work.isCancelled)
  }

  do {
    // snippet: many processes
    let pictures = try await pool.map(paths) { try decode($0) }.value  // in order; cut into chunks by measurement
    for await result in pool.results(of: paths, ordered: false, { try decode($0) }) {  // as they come
      if case .failure(let error) = result { print("one failed: \(error)") }
    }
    // end
    expect(pictures.count == 2)
  }

  expect(try await countWords(in: paths, on: pool) == [4, 4])
  expect(try await countWords(in: paths, on: ThreadPool.shared) == [4, 4])

  do {
    let path = "cat.bmp"
    for factor in 2...3 {
      // snippet: captures
      let refused = pool.submit(path) { try decode($0).scaled(by: factor) }  // fails: the closure captures factor
      let scaled = pool.submit(path, factor) { try decode($0).scaled(by: $1) }
      // end
      if case .failure(let error) = await refused.result { expect(error is TaskEncodingError) } else { expect(false) }
      expect(try await scaled.value.width == 8 * factor)
    }
  }

  do {
    let (width, height) = (64, 16)
    // snippet: shared array
    let picture = try SharedArray<Float>(repeating: 0, count: width * height)
    let rows = (0..<height).map { pool.submit(Row(picture: picture, width: width, y: $0)) }
    let brightest = try await gather(rows).value.max()
    // end
    expect(brightest == 63 && picture[5 * width + 3] == 6)
  }

  do {
    // snippet: options
    var options = ProcessPool.Options()
    options.memoryLimit = 1 << 30  // bytes of address space for each worker
    let pool = ProcessPool(maxWorkers: 4, maxTasksPerWorker: 1000, options: options)
    // end
    expect(try await pool.run("x") { $0 + "y" } == "xy")
  }
  await pool.shutdown()
}
