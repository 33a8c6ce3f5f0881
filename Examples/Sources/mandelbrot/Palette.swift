/// A circle of colours: night blue, sky, cream, amber, brown, and back.
enum Palette {
  /// In linear light; the last colour is the first again.
  private static let stops: [(place: Double, colour: SIMD3<Double>)] = [
    (0, SIMD3(0.002, 0.008, 0.06)),
    (0.18, SIMD3(0.015, 0.13, 0.50)),
    (0.40, SIMD3(0.80, 0.95, 0.98)),
    (0.58, SIMD3(1.0, 0.62, 0.10)),
    (0.78, SIMD3(0.30, 0.03, 0.01)),
    (1, SIMD3(0.002, 0.008, 0.06)),
  ]

  /// The colour at a place from 0 to 1.
  static func colour(at place: Double) -> SIMD3<Double> {
    var index = 1
    while index < stops.count - 1, stops[index].place < place { index += 1 }
    let (before, after) = (stops[index - 1], stops[index])
    let fraction = min(max((place - before.place) / (after.place - before.place), 0), 1)
    // Smoothstep: no edge shows where two stretches meet.
    let eased = fraction * fraction * (3 - 2 * fraction)
    return before.colour + (after.colour - before.colour) * eased
  }
}
