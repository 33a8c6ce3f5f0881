import Foundation

/// The few shapes that charts need. Colours follow the reader's preference for light or dark.
struct SVG {
  let width: Int
  let height: Int
  private var body = ""

  init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// Of the series, for light and dark surroundings; the first stands out.
  private static let colors: [(light: String, dark: String)] = [
    ("#d9480f", "#ff922b"), ("#1971c2", "#4dabf7"), ("#2b8a3e", "#51cf66"), ("#6741d9", "#b197fc"),
    ("#c2255c", "#faa2c1"), ("#868e96", "#adb5bd"), ("#0b7285", "#3bc9db"), ("#a07900", "#fcc419"),
  ]

  private static func palette(_ ink: String, _ quiet: String, _ grid: String, _ paper: String, dark: Bool) -> String {
    var css = ".paper{fill:\(paper)}text{fill:\(ink)}.small{fill:\(quiet)}.grid{stroke:\(grid)}.axis{stroke:\(quiet)}"
    for (index, color) in colors.enumerated() {
      let value = dark ? color.dark : color.light
      css += ".s\(index){stroke:\(value)}.m\(index){stroke:\(value);fill:\(value)}"
    }
    return css
  }

  var document: String {
    let font = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
    let light = Self.palette("#1f2328", "#59636e", "#e3e6ea", "#ffffff", dark: false)
    let dark = Self.palette("#f0f6fc", "#9198a1", "#2a313b", "#0d1117", dark: true)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)">
      <style>
      text{font-family:\(font)}.title{font-size:16px;font-weight:600}.small{font-size:12px}.label{font-size:12px}
      .line{fill:none;stroke-width:2;stroke-linejoin:round}.line.s0{stroke-width:3.5}.range{stroke-width:1.5;opacity:.6}
      .dashed{stroke-dasharray:7 4}.grid{stroke-width:1}.axis{stroke-width:1}
      \(light)
      @media (prefers-color-scheme:dark){\(dark)}
      </style>
      <rect class="paper" width="\(width)" height="\(height)" rx="8"/>
      \(body)</svg>

      """
  }

  private func number(_ value: Double) -> String { String(format: "%.1f", value) }

  private func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
  }

  mutating func text(
    _ text: String, x: Double, y: Double, class style: String, anchor: String = "start", turned: Bool = false
  ) {
    let turn = turned ? " transform=\"rotate(-90 \(number(x)) \(number(y)))\"" : ""
    body += "<text x=\"\(number(x))\" y=\"\(number(y))\" class=\"\(style)\" text-anchor=\"\(anchor)\"\(turn)>"
    body += "\(escaped(text))</text>\n"
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class style: String) {
    body +=
      "<line class=\"\(style)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>\n"
  }

  mutating func path(_ points: [(x: Double, y: Double)], isStepped: Bool, class style: String) {
    guard let first = points.first else { return }
    var path = "M\(number(first.x)) \(number(first.y))"
    for point in points.dropFirst() {
      path += isStepped ? "H\(number(point.x))V\(number(point.y))" : "L\(number(point.x)) \(number(point.y))"
    }
    body += "<path class=\"\(style)\" d=\"\(path)\"/>\n"
  }

  /// A shape for each style, so that colour is not all that tells them apart.
  mutating func marker(_ style: Int, x: Double, y: Double) {
    func polygon(_ corners: [(Double, Double)]) {
      let points = corners.map { "\(number(x + $0.0)),\(number(y + $0.1))" }.joined(separator: " ")
      body += "<polygon class=\"m\(style)\" points=\"\(points)\"/>\n"
    }
    switch style % 8 {
    case 1: polygon([(-4, -4), (4, -4), (4, 4), (-4, 4)])
    case 2: polygon([(0, -5.5), (5, 4), (-5, 4)])
    case 3: polygon([(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)])
    case 4: polygon([(0, 5.5), (5, -4), (-5, -4)])
    case 5: polygon([(-5, -1.5), (5, -1.5), (5, 1.5), (-5, 1.5)])
    case 6: polygon([(-5.5, 0), (-2, -5), (2, -5), (5.5, 0), (2, 5), (-2, 5)])
    case 7:
      polygon([
        (-1.5, -5), (1.5, -5), (1.5, -1.5), (5, -1.5), (5, 1.5), (1.5, 1.5), (1.5, 5), (-1.5, 5), (-1.5, 1.5),
        (-5, 1.5), (-5, -1.5), (-1.5, -1.5),
      ])
    default: body += "<circle class=\"m\(style)\" cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"4.5\"/>\n"
    }
  }
}
