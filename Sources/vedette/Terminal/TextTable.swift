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

    /// The table as text, one line per row, without trailing blanks.
    func render() -> String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in all {
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isLast = column == row.count - 1
                line += alignments[column] == .right ? padding + cell : cell + (isLast ? "" : padding)
                if !isLast { line += "  " }
            }
            text += line + "\n"
        }
        return text
    }
}
