import ArgumentParser
import ConcurrentFutures

@main
struct Mandelbrot: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mandelbrot",
    abstract: "Computes a picture of the Mandelbrot set in worker processes and writes it as PNG.",
    discussion: """
      Bands of rows travel to the workers as small values and come back as pixels, in order, while others are computed. \
      The whole set: --real -0.6 --imaginary 0 --span 3.6.
      """)

  @Option(help: "Width of the picture in pixels.")
  var width = 1600

  @Option(help: "Height of the picture in pixels.")
  var height = 1000

  @Option(help: "The point in the middle: real part.")
  var real = -0.743_643_135

  @Option(help: "The point in the middle: imaginary part.")
  var imaginary = 0.131_825_963

  @Option(help: "What the picture spans from left to right.")
  var span = 0.000_36

  @Option(help: "Iterations after which a point is taken to belong to the set.")
  var iterations = 5000

  @Option(help: "Worker processes.")
  var workers = ProcessPool.defaultMaxWorkers

  @Option(name: .shortAndLong, help: "Where to write the picture.", completion: .file(extensions: ["png"]))
  var output = "mandelbrot.png"

  func validate() throws {
    if !(1...20_000).contains(width) { throw ValidationError("--width must be from 1 to 20000, not \(width).") }
    if !(1...20_000).contains(height) { throw ValidationError("--height must be from 1 to 20000, not \(height).") }
    if !(1...1_000_000).contains(iterations) {
      throw ValidationError("--iterations must be from 1 to 1000000, not \(iterations).")
    }
    if !(span > 0 && span <= 100) { throw ValidationError("--span must be greater than 0 and at most 100.") }
    if !(abs(real) <= 100 && abs(imaginary) <= 100) { throw ValidationError("The middle must be within 100 of 0.") }
    if !(1...256).contains(workers) { throw ValidationError("--workers must be from 1 to 256, not \(workers).") }
  }

  func run() async throws {
    let view = View(
      width: width, height: height, real: real, imaginary: imaginary, span: span, iterations: iterations)
    // Before the work, so that a path that cannot be written is found at once.
    let picture = try PNGFile(path: output, width: width, height: height)
    var progress = Progress(total: height)
    let start = ContinuousClock.now

    try await withProcessPool(maxWorkers: workers) { pool in
      // The closure captures nothing: all that a worker needs is in the band.
      for await pixels in pool.results(of: bands(of: view), maxInFlight: 4 * workers, { $0.pixels() }) {
        let rows = try pixels.get()
        try picture.append(rows)
        progress.advance(by: rows.count / (3 * width))
      }
    }
    try picture.finish()

    progress.finish()
    let seconds = start.duration(to: .now) / .seconds(1)
    print("\(output): \(width) x \(height), \(workers) workers, \((seconds * 10).rounded() / 10) s")
  }

  /// Bands of a few rows: many more than workers, since some take much longer than others.
  private func bands(of view: View) -> [Band] {
    let rows = max(1, min(8, height / (8 * workers)))
    return stride(from: 0, to: height, by: rows).map { Band(view: view, rows: $0..<min($0 + rows, height)) }
  }
}
