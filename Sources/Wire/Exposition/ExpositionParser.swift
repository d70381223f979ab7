package import Telemetry

/// Why a scraped text was refused: the line and what was expected there.
package struct ExpositionError: Error, Equatable, CustomStringConvertible {
    /// 1-based.
    package let line: Int
    package let reason: String

    /// "line 3: expected '\"' behind '=', found 'x'"
    package var description: String { "line \(line): \(reason)" }
}

/// Reads Prometheus' text format 0.0.4 line by line, with the quoted names of its UTF-8 extension.
///
/// As lenient as Prometheus' own parser: white space between tokens, comments, a missing last line end, a comma
/// behind the last label. Anything else wrong ends the whole text with the line's number: half a scrape is worse than
/// none.
package struct ExpositionParser {
    /// One line that says something.
    package enum Item: Equatable, Sendable {
        case help(name: String, text: String)
        case type(name: String, kind: MetricKind)
        /// `labels` holds `__name__`; the time is nil where the line gives none.
        case sample(labels: Labels, value: Double, milliseconds: Int64?)
    }

    /// A longer line is refused.
    package static let lineBytesMaximum = 1 << 20
    /// More labels of one sample are refused.
    package static let labelsMaximum = 1024

    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private var line = 0
    private var builder = LabelsBuilder()

    /// Reads `bytes`, which must outlive the parser.
    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// All items of `bytes`.
    package static func parse(_ bytes: [UInt8]) throws(ExpositionError) -> [Item] {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(ExpositionError) in
                var parser = ExpositionParser(raw)
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
            var cursor = ExpositionLine(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), number: line)
            offset = end + 1
            if let item = try cursor.item(with: &builder) { return item }
        }
        return nil
    }
}
