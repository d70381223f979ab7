internal import Glibc
internal import Telemetry

/// Draws series over time with braille dots: two columns and four rows of dots in each character.
///
/// With colour every series has its own; without, one series is drawn in dots and several with a letter each, so that a
/// picture says as much on paper.
struct Plot {
    /// A line of the plot: equally spaced values, NaN where there is none.
    struct Line {
        var name: String
        var values: [Double]
    }

    /// The picture's size in characters, axes included.
    var width: Int
    var height: Int
    var usesColour: Bool
    var unit: ValueUnit

    /// Further lines are only counted.
    static let linesMaximum = 8
    private static let colours = [36, 33, 35, 32, 34, 31, 96, 93]

    private struct Cell {
        var dots: UInt8 = 0
        var line = 0
    }

    /// The picture, with the times of its first and last column below.
    func render(_ all: [Line], startMilliseconds: Int64, endMilliseconds: Int64) -> String {
        let lines = all.prefix(Plot.linesMaximum)
        let finite = lines.flatMap(\.values).filter(\.isFinite)
        guard var low = finite.min(), var high = finite.max() else { return "no values\n" }
        if low == high {
            (low, high) = (low - (low == 0 ? 1 : low.magnitude / 2), high + (high == 0 ? 1 : high.magnitude / 2))
        }
        // Zero belongs to the picture where the values come near it.
        if low > 0, low < (high - low) / 2 { low = 0 }
        let rows = max(3, height - 2)
        let labels = (0..<rows).map { row -> String in
            let value = high - (high - low) * Double(row) / Double(rows - 1)
            return row % 4 == 0 || row == rows - 1 ? unit.text(Plot.rounded(value, within: high - low)) : ""
        }
        let margin = labels.map(\.count).max() ?? 0
        let columns = max(10, width - margin - 2)
        var cells = [[Cell]](repeating: [Cell](repeating: Cell(), count: columns), count: rows)
        for (index, line) in lines.enumerated() {
            draw(line.values, index, low: low, high: high, &cells)
        }
        var text = ""
        for row in 0..<rows {
            let padding = String(repeating: " ", count: margin - labels[row].count)
            text +=
                padding + labels[row] + (labels[row].isEmpty ? " │" : " ┤") + characters(cells[row], lines.count) + "\n"
        }
        text += String(repeating: " ", count: margin) + " └" + String(repeating: "─", count: columns) + "\n"
        let (start, end) = (Plot.time(startMilliseconds), Plot.time(endMilliseconds))
        let gap = max(1, columns - start.count - end.count)
        text += String(repeating: " ", count: margin + 2) + start + String(repeating: " ", count: gap) + end + "\n"
        return text
    }

    /// A value with as many digits as tell the places of an axis of this span apart.
    private static func rounded(_ value: Double, within span: Double) -> Double {
        let unit = pow(10, floor(log10(span)) - 2)
        guard unit > 1e-300 else { return value }
        // A tenth has no exact double, its inverse does. Adding zero makes one of a negative zero.
        let parts = (1 / unit).rounded()
        return (unit < 1 ? (value * parts).rounded() / parts : (value / unit).rounded() * unit) + 0
    }

    /// What stands in front of a line's name in a legend.
    func mark(_ index: Int, of count: Int) -> String {
        if usesColour { return Plot.coloured("━━", index) }
        return count == 1 ? "⣿" : Plot.letter(index)
    }

    private static func letter(_ index: Int) -> String {
        String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index % 26)))
    }

    private static func coloured(_ text: String, _ index: Int) -> String {
        "\u{1b}[\(colours[index % colours.count])m\(text)\u{1b}[0m"
    }

    /// `14:03:20` of a day, in universal time.
    private static func time(_ milliseconds: Int64) -> String {
        String(Timestamps.rfc3339(milliseconds: milliseconds / 1000 * 1000).replacing("T", with: " ").dropLast())
    }

    private func draw(_ values: [Double], _ index: Int, low: Double, high: Double, _ cells: inout [[Cell]]) {
        let (dotColumns, dotRows) = ((cells.first?.count ?? 0) * 2, cells.count * 4)
        func row(_ value: Double) -> Int {
            let share = min(1, max(0, (value - low) / (high - low)))
            return Int((Double(dotRows - 1) * (1 - share)).rounded())
        }
        var previous: (column: Int, row: Int)?
        for (place, value) in values.enumerated() {
            guard value.isFinite else {
                previous = nil
                continue
            }
            let column = values.count == 1 ? 0 : place * (dotColumns - 1) / (values.count - 1)
            let point = (column: column, row: row(value))
            for (x, y) in Plot.path(from: previous ?? point, to: point) {
                cells[y / 4][x / 2].dots |= Plot.dot(x % 2, y % 4)
                cells[y / 4][x / 2].line = index
            }
            previous = point
        }
    }

    /// The dots of a straight line (Bresenham).
    private static func path(from start: (column: Int, row: Int), to end: (column: Int, row: Int)) -> [(Int, Int)] {
        let (width, height) = (abs(end.column - start.column), -abs(end.row - start.row))
        let (stepX, stepY) = (start.column < end.column ? 1 : -1, start.row < end.row ? 1 : -1)
        var (x, y, error) = (start.column, start.row, width + height)
        var dots = [(x, y)]
        while x != end.column || y != end.row {
            let doubled = 2 * error
            if doubled >= height {
                error += height
                x += stepX
            }
            if doubled <= width {
                error += width
                y += stepY
            }
            dots.append((x, y))
        }
        return dots
    }

    /// The bit of a dot within a braille character (Unicode 2800).
    private static func dot(_ column: Int, _ row: Int) -> UInt8 {
        row == 3 ? (column == 0 ? 0x40 : 0x80) : UInt8(1 << (row + 3 * column))
    }

    private func characters(_ row: [Cell], _ count: Int) -> String {
        var text = ""
        for cell in row {
            if cell.dots == 0 {
                text += " "
            } else if usesColour || count == 1 {
                let braille = String(UnicodeScalar(UInt16(0x2800) + UInt16(cell.dots)) ?? "·")
                text += usesColour ? Plot.coloured(braille, cell.line) : braille
            } else {
                text += Plot.letter(cell.line)
            }
        }
        return text
    }
}
