#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Which part of the plane is drawn, and how.
struct View: Codable, Sendable {
  var width: Int
  var height: Int
  /// The point in the middle.
  var real: Double
  var imaginary: Double
  /// From the left edge to the right one.
  var span: Double
  var iterations: Int
}

/// Some rows of a picture: what travels to a worker.
struct Band: Codable, Sendable {
  var view: View
  var rows: Range<Int>

  /// The band's pixels, three bytes each, row after row. Runs in a worker.
  func pixels() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * view.width * rows.count)
    for row in rows {
      for column in 0..<view.width {
        let colour = pixel(column, row)
        bytes.append(encoded(colour.x))
        bytes.append(encoded(colour.y))
        bytes.append(encoded(colour.z))
      }
    }
    return bytes
  }

  /// The mean of three by three points, which smooths edges.
  private func pixel(_ column: Int, _ row: Int) -> SIMD3<Double> {
    let scale = view.span / Double(view.width)
    var sum = SIMD3<Double>()
    for sample in 0..<9 {
      let dx = (Double(sample % 3) + 0.5) / 3
      let dy = (Double(sample / 3) + 0.5) / 3
      let real = view.real + (Double(column) + dx - Double(view.width) / 2) * scale
      let imaginary = view.imaginary - (Double(row) + dy - Double(view.height) / 2) * scale
      if let escape = escape(real, imaginary) { sum += colour(escape) }
    }
    return sum / 9
  }

  /// How a point leaves.
  private struct Escape {
    /// The number of iterations, made continuous.
    var time: Double
    /// The direction in which the potential rises, of length 1: a slope that light can fall on.
    var slopeX: Double
    var slopeY: Double
  }

  /// Iterates z² + c with its derivative by c; nil for a point that stays.
  private func escape(_ real: Double, _ imaginary: Double) -> Escape? {
    // The cardioid and the disc to its left are known to stay.
    let q = (real - 0.25) * (real - 0.25) + imaginary * imaginary
    if q * (q + real - 0.25) <= 0.25 * imaginary * imaginary { return nil }
    if (real + 1) * (real + 1) + imaginary * imaginary <= 0.0625 { return nil }
    var x = 0.0
    var y = 0.0
    var dx = 0.0
    var dy = 0.0
    for count in 0..<view.iterations {
      (dx, dy) = (2 * (x * dx - y * dy) + 1, 2 * (x * dy + y * dx))
      (x, y) = (x * x - y * y + real, 2 * x * y + imaginary)
      let square = x * x + y * y
      if square > 1e6 {
        let time = Double(count) + 1 - log2(log(square) / 2)
        // z / z', normalised.
        let u = x * dx + y * dy
        let v = y * dx - x * dy
        let length = max((u * u + v * v).squareRoot(), .leastNormalMagnitude)
        return Escape(time: max(0, time), slopeX: u / length, slopeY: v / length)
      }
    }
    return nil
  }

  /// In linear light.
  private func colour(_ escape: Escape) -> SIMD3<Double> {
    // The colours repeat more slowly the longer a point takes, as details get finer there.
    let place = log2(1 + escape.time) * 1.35
    let light = (escape.slopeX * 0.5 + escape.slopeY * 0.8 + 1.5) / 2.5
    return Palette.colour(at: place - place.rounded(.down)) * (0.25 + 0.85 * light)
  }

  /// sRGB from linear light.
  private func encoded(_ linear: Double) -> UInt8 {
    let value = min(max(linear, 0), 1)
    return UInt8(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * pow(value, 1 / 2.4) - 0.055) + 0.5)
  }
}
