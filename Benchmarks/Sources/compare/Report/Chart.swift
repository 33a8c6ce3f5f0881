import Foundation

/// A line chart with logarithmic x axis.
struct Chart {
  struct Point {
    var x: Double
    var y: Double
    var low: Double?
    var high: Double?
  }

  struct Series {
    var label: String
    /// Its colour and marker, the same for a contestant in all charts.
    var style: Int
    /// Further ways of the same contestant are dashed.
    var isDashed = false
    var points: [Point]
    var isStepped = false
  }

  struct Tick {
    var value: Double
    var label: String
  }

  struct Axis {
    var title: String
    var ticks: [Tick]
    var low: Double
    var high: Double
    /// From the value to something that is drawn linearly.
    var transform: @Sendable (Double) -> Double = { log10($0) }

    func position(_ value: Double) -> Double {
      (transform(value) - transform(low)) / (transform(high) - transform(low))
    }
  }

  var title: String
  var subtitle: String
  var x: Axis
  var y: Axis
  var series: [Series]

  func svg() -> String {
    let area = (left: 96.0, top: 64.0, right: 642.0, bottom: 356.0)
    // A letter of the legend takes less than 7 points.
    let legend = 7 * (series.map(\.label.count).max() ?? 0)
    var svg = SVG(width: max(820, Int(area.right) + 54 + legend + 16), height: 420)
    func place(_ point: (x: Double, y: Double)) -> (x: Double, y: Double) {
      (
        area.left + x.position(point.x) * (area.right - area.left),
        area.bottom - y.position(point.y) * (area.bottom - area.top)
      )
    }
    svg.text(title, x: 20, y: 28, class: "title")
    svg.text(subtitle, x: 20, y: 47, class: "small")
    for tick in y.ticks {
      let height = place((x.low, tick.value)).y
      svg.line(area.left, height, area.right, height, class: "grid")
      svg.text(tick.label, x: area.left - 8, y: height + 4, class: "label", anchor: "end")
    }
    for tick in x.ticks {
      let across = place((tick.value, y.low)).x
      svg.line(across, area.top, across, area.bottom, class: "grid")
      svg.text(tick.label, x: across, y: area.bottom + 18, class: "label", anchor: "middle")
    }
    svg.line(area.left, area.bottom, area.right, area.bottom, class: "axis")
    svg.line(area.left, area.top, area.left, area.bottom, class: "axis")
    svg.text(x.title, x: (area.left + area.right) / 2, y: area.bottom + 42, class: "label", anchor: "middle")
    svg.text(y.title, x: 20, y: (area.top + area.bottom) / 2, class: "label", anchor: "middle", turned: true)
    // The first on top of the others.
    for one in series.reversed() { draw(one, into: &svg, place) }
    for (index, one) in series.enumerated() {
      let height = area.top + 12 + Double(index) * 24
      svg.line(area.right + 18, height, area.right + 46, height, class: lineClass(one))
      if !one.isStepped { svg.marker(one.style, x: area.right + 32, y: height) }
      svg.text(one.label, x: area.right + 54, y: height + 4, class: "label")
    }
    return svg.document
  }

  private func lineClass(_ one: Series) -> String { "line s\(one.style)\(one.isDashed ? " dashed" : "")" }

  private func draw(_ one: Series, into svg: inout SVG, _ place: ((x: Double, y: Double)) -> (x: Double, y: Double)) {
    let places = one.points.map { place(($0.x, $0.y)) }
    svg.path(places, isStepped: one.isStepped, class: lineClass(one))
    if one.isStepped { return }
    for (point, here) in zip(one.points, places) {
      if let low = point.low, let high = point.high, high > low {
        svg.line(here.x, place((point.x, low)).y, here.x, place((point.x, high)).y, class: "range s\(one.style)")
      }
      svg.marker(one.style, x: here.x, y: here.y)
    }
  }
}
