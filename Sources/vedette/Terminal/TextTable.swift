/// A table with aligned columns for people. Numbers stand at the right.
struct TextTable {
    /// How a column is aligned.
    enum Alignment {
        case left
        case right
    }

    private let header: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// A table; columns without an alignment are left-aligned.
    init(_ header: [String], alignments: [Alignment] = []) {
        self.header = header
        self.alignments = header.indices.map { $0 < alignments.count ? alignments[$0] : .left }
    }

    /// Whether there is no row.
    var isEmpty: Bool { rows.isEmpty }

    /// Adds a row with one cell per column.
    mutating func append(_ row: [String]) { rows.append(row) }

    /// Fewer characters of a cell say nothing.
    private static let widthMinimum = 8
    private static let gap = 2

    /// The table as text, one line per row, without trailing blanks. Where `width` is given, long cells at the left
    /// are cut so that a row fits into a line, down to a few characters each.
    func render(width: Int? = nil) -> String {
        let all = [header] + rows
        let widths = fitted(header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }, into: width)
        var text = ""
        for row in all {
            var line = ""
            for (column, cell) in row.enumerated() {
                let cell = cell.count > widths[column] ? cell.prefix(widths[column] - 1) + "…" : cell
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isLast = column == row.count - 1
                line += alignments[column] == .right ? padding + cell : cell + (isLast ? "" : padding)
                if !isLast { line += String(repeating: " ", count: TextTable.gap) }
            }
            text += line + "\n"
        }
        return text
    }

    /// The widths with the widest left-aligned columns narrowed until all fit, as far as that goes.
    private func fitted(_ widths: [Int], into limit: Int?) -> [Int] {
        guard let limit else { return widths }
        var widths = widths
        while widths.reduce(0, +) + TextTable.gap * (widths.count - 1) > limit {
            let candidates = widths.indices.filter { alignments[$0] == .left && widths[$0] > TextTable.widthMinimum }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
        }
        return widths
    }
}
