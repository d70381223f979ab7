package import Telemetry

/// Why a scraped text was refused: the line and what was expected there.
package struct ExpositionError: Error, Equatable, CustomStringConvertible {
    /// 1-based.
    package let line: Int
    package let reason: String

    /// "line 3: expected '\"' behind '=', found 'x'"
    package var description: String { "line \(line): \(reason)" }
}

/// Reads Prometheus' text format 0.0.4 and OpenMetrics 1.0 line by line, with the quoted names of their UTF-8
/// extension.
///
/// As lenient as Prometheus' own parser: white space between tokens, comments, a missing last line end, a comma
/// behind the last label. Anything else wrong ends the whole text with the line's number: half a scrape is worse than
/// none.
package struct ExpositionParser {
    /// One line that says something.
    package enum Item: Equatable, Sendable {
        case help(name: String, text: String)
        case type(name: String, kind: MetricKind)
        /// OpenMetrics only.
        case unit(name: String, text: String)
        /// `labels` holds `__name__`; the time is nil where the line gives none.
        case sample(labels: Labels, value: Double, milliseconds: Int64?)
        /// OpenMetrics only: nothing may follow.
        case end
    }

    /// The two formats, which differ in times, exemplars and how they end.
    package enum Dialect: Sendable {
        case text
        case openMetrics
    }

    /// What OpenMetrics may put behind a sample.
    package struct Exemplar: Equatable, Sendable {
        package var labels: Labels
        package var value: Double
        package var milliseconds: Int64?
    }

    /// A longer line is refused.
    package static let lineBytesMaximum = 1 << 20
    /// More labels of one sample are refused.
    package static let labelsMaximum = 1024

    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private var line = 0
    private var builder = LabelsBuilder()
    private let dialect: Dialect
    private var hasEnded = false
    /// The labels that the last sample gave with an empty value, which its `labels` do not hold.
    package private(set) var emptyNames: [String] = []
    /// The exemplar of the last sample; nil for none.
    package private(set) var exemplar: Exemplar?

    /// Reads `bytes`, which must outlive the parser.
    package init(_ bytes: UnsafeRawBufferPointer, dialect: Dialect = .text) {
        self.bytes = bytes
        self.dialect = dialect
    }

    /// All items of `bytes`.
    package static func parse(_ bytes: [UInt8], dialect: Dialect = .text) throws(ExpositionError) -> [Item] {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(ExpositionError) in
                var parser = ExpositionParser(raw, dialect: dialect)
                var items: [Item] = []
                while let item = try parser.next() { items.append(item) }
                return items
            }
        }
        return try result.get()
    }

    /// The next item, nil at the end.
    package mutating func next() throws(ExpositionError) -> Item? {
        while offset < bytes.count {
            let end = bytes.offset(of: 0x0a, from: offset) ?? bytes.count
            line += 1
            guard end - offset <= ExpositionParser.lineBytesMaximum else {
                throw ExpositionError(line: line, reason: "longer than \(ExpositionParser.lineBytesMaximum) bytes")
            }
            let raw = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
            offset = end + 1
            if hasEnded, !raw.isEmpty { throw ExpositionError(line: line, reason: "text behind # EOF") }
            var cursor = ExpositionLine(raw, number: line, dialect: dialect)
            guard let item = try cursor.item(with: &builder) else { continue }
            emptyNames = cursor.emptyNames
            exemplar = cursor.exemplar
            if case .end = item { hasEnded = true }
            return item
        }
        // Without it nobody can tell a whole text from one that was cut.
        if dialect == .openMetrics, !hasEnded {
            throw ExpositionError(line: line + 1, reason: "the text does not end with # EOF")
        }
        return nil
    }
}
