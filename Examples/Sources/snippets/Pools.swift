import ConcurrentFutures

private struct Thumbnail: Sendable { let path: String }
private func makeThumbnail(_ path: String) throws -> Thumbnail { Thumbnail(path: path) }
private func isPrime(_ n: Int) -> Bool { n > 1 && !(2..<n).contains { n % $0 == 0 } }
private func process(_ chunk: Int) {}

func runPools() async throws {
  let path = "cat.jpg"
  let paths = [path, "dog.jpg"]

  do {
    // snippet: pool
    let pool = ThreadPool(maxWorkers: 8, name: "thumbnails")
    let one = pool.submit { try makeThumbnail(path) }  // Future<Thumbnail>
    let urgent = pool.submit(priority: .high) { try makeThumbnail(path) }
    let all = pool.map(paths, chunkSize: 4) { try makeThumbnail($0) }  // Future<[Thumbnail]>, in order
    let thumbnails = try await all.value
    await pool.shutdown()  // all that was submitted is done
    // end
    expect(one.isDone && urgent.isDone && thumbnails.count == 2)
  }

  let pool = ThreadPool(maxWorkers: 4)

  // snippet: results
  for await result in pool.results(of: paths, ordered: false, { try makeThumbnail($0) }) {
    switch result {
    case .success(let thumbnail): print("made \(thumbnail.path)")
    case .failure(let error): print("one failed: \(error)")  // the others go on
    }
  }
  // end

  // snippet: endless
  for await result in pool.results(of: 1..., { n in isPrime(n) ? n : nil }) {
    if let prime = try result.get(), prime > 1000 { break }  // cancels what is under way
  }
  // end

  // snippet: scope
  let sizes = try await withThreadPool(maxWorkers: 4) { pool in
    try await pool.map(paths) { $0.utf8.count }.value
  }
  // end
  expect(sizes == [7, 7])

  do {
    let chunks = 0..<3
    // snippet: asked to stop
    let work = pool.submit {
      for chunk in chunks {
        try CurrentWork.checkCancellation()
        process(chunk)
      }
    }
    work.cancel()  // before it has started: it never runs. While it runs: false, and it is asked to stop
    // end
    _ = await work.result
  }

  do {
    // snippet: bounded
    let pool = ThreadPool(maxWorkers: 4, queueLimit: .atMost(1000, whenFull: .suspend))
    for path in paths {
      _ = try await pool.submitWhenAccepted { try makeThumbnail(path) }  // waits while 1000 are queued
    }
    // end
    await pool.shutdown()
  }
}

// snippet: join
func sum(_ values: ArraySlice<Int>, on pool: ThreadPool) -> Int {
  if values.count < 10_000 { return values.reduce(0, +) }
  let middle = values.startIndex + values.count / 2
  let (left, right) = pool.join(
    { sum(values[..<middle], on: pool) },  // here
    { sum(values[middle...], on: pool) })  // here, or on a worker that has nothing to do
  return left + right
}
// end

func runPoolsSynchronously() {
  let pool = ThreadPool(maxWorkers: 4)
  let values = Array(0..<1_000_000)
  expect(sum(values[...], on: pool) == 999_999 * 500_000)
  expect(try! pool.submit { sum(values[...], on: pool) }.wait() == 999_999 * 500_000)
}
