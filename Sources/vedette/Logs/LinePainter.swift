internal import Query
internal import Telemetry

/// Prints lines for people: time, where from, text. The lines of one event stand under its first; what was looked
/// for is highlighted; every container has its colour.
struct LinePainter {
    private static let colours = [36, 32, 35, 34, 96, 92, 95, 94, 33]
    private static let originColumnsMaximum = 28
    private static let origins = ["container", "unit", "service", "app", "job", "source"]

    private let usesColour: Bool
    private let highlight: RegularExpression?
    private var originColumns = 0
    private var painted: [Labels: Origin] = [:]
    private var assemblers: [Labels: EventAssembler] = [:]
    private var lastLabels: Labels?

    /// How a stream is called and coloured.
    private struct Origin {
        let name: String
        let columns: Int
        let colour: Int
    }

    init(highlight: RegularExpression?, usesColour: Bool = Terminal.usesColour) {
        self.highlight = highlight
        self.usesColour = usesColour
    }

    /// Adds a line as it is shown.
    mutating func add(_ line: FoundLine, to output: inout [UInt8]) {
        let origin = origin(of: line.labels)
        // Only a line right under the one before it is shown as its continuation.
        let continues = assemblers[line.labels, default: EventAssembler()].continues(line.text, at: line.nanoseconds)
        let isUnder = continues && lastLabels == line.labels
        lastLabels = line.labels
        let time = Timestamps.column(milliseconds: line.nanoseconds / 1_000_000)
        originColumns = max(originColumns, min(origin.columns, LinePainter.originColumnsMaximum))
        let padding = String(repeating: " ", count: max(0, originColumns - origin.columns))
        guard usesColour else {
            output += Array("\(time) \(origin.name)\(padding)  ".utf8)
            output += line.text
            output.append(0x0a)
            return
        }
        if isUnder {
            output += Array(String(repeating: " ", count: time.count + 1 + max(originColumns, origin.columns)).utf8)
        } else {
            output += Array("\u{1b}[2m\(time)\u{1b}[0m \u{1b}[\(origin.colour)m\(origin.name)\u{1b}[0m\(padding)".utf8)
        }
        output += Array(" \(LinePainter.bar(line))".utf8)
        if line.role == "context" { output += Array("\u{1b}[2m".utf8) }
        appendText(line, to: &output)
        if line.role == "context" { output += Array("\u{1b}[0m".utf8) }
        output.append(0x0a)
    }

    /// Adds the mark between lines that do not follow each other.
    mutating func addGap(to output: inout [UInt8]) {
        lastLabels = nil
        output += Array((usesColour ? "\u{1b}[36m--\u{1b}[0m\n" : "--\n").utf8)
    }

    private mutating func origin(of labels: Labels) -> Origin {
        if let known = painted[labels] { return known }
        let name = LinePainter.origins.lazy.compactMap { labels[$0] }.first ?? labels.pairs.first?.value ?? ""
        // The same colour for the same name, today and tomorrow (FNV-1a).
        let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let colour = LinePainter.colours[Int(hash % UInt64(LinePainter.colours.count))]
        let origin = Origin(name: TerminalText.plain(name), columns: name.count, colour: colour)
        if painted.count > 10_000 { painted.removeAll() }
        painted[labels] = origin
        return origin
    }

    /// A bar that tells the level.
    private static func bar(_ line: FoundLine) -> String {
        let severity =
            line.labels[LineLevel.label].map { Severity(word: $0) } ?? SeverityDetector.severity(of: line.text[...])
        switch severity {
        case .error, .critical, .fatal: return "\u{1b}[31m┃\u{1b}[0m "
        case .warn: return "\u{1b}[33m┃\u{1b}[0m "
        default: return "\u{1b}[2m│\u{1b}[0m "
        }
    }

    private func appendText(_ line: FoundLine, to output: inout [UInt8]) {
        guard let highlight, line.role != "context" else {
            TerminalText.append(line.text[...], to: &output)
            return
        }
        var position = 0
        line.text.withUnsafeBytes { bytes in
            while position <= bytes.count, let match = highlight.firstMatch(in: bytes, from: position)?[0] {
                guard !match.isEmpty else { break }
                TerminalText.append(line.text[position..<match.lowerBound], to: &output)
                output += Array("\u{1b}[1;31m".utf8)
                TerminalText.append(line.text[match], to: &output)
                output += Array("\u{1b}[0m".utf8)
                position = match.upperBound
            }
        }
        TerminalText.append(line.text[position...], to: &output)
    }
}

/// Text of strangers on a terminal: colours pass, everything else that would move the cursor, ring or write the title
/// does not.
enum TerminalText {
    /// Adds text without what a terminal would obey.
    static func append(_ text: ArraySlice<UInt8>, to output: inout [UInt8]) {
        guard text.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7f }) else {
            output += text
            return
        }
        var index = text.startIndex
        var hasColour = false
        while index < text.endIndex {
            let byte = text[index]
            if byte == 0x1b, let end = endOfColour(text, index) {
                output += text[index..<end]
                hasColour = true
                index = end
                continue
            }
            // A carriage return at the end is how some programs end lines.
            if byte >= 0x20 && byte != 0x7f || byte == 0x09 {
                output.append(byte)
            } else if byte != 0x0d || index + 1 < text.endIndex {
                output += Array("␛".utf8.prefix(byte == 0x1b ? 3 : 0))
            }
            index += 1
        }
        if hasColour { output += Array("\u{1b}[0m".utf8) }
    }

    /// Text with nothing in it that a terminal would obey.
    static func plain(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }))
    }

    /// Behind `ESC [ … m`.
    private static func endOfColour(_ text: ArraySlice<UInt8>, _ start: Int) -> Int? {
        var index = start + 1
        guard index < text.endIndex, text[index] == UInt8(ascii: "[") else { return nil }
        index += 1
        while index < text.endIndex, (0x30...0x3b).contains(text[index]) { index += 1 }
        return index < text.endIndex && text[index] == UInt8(ascii: "m") ? index + 1 : nil
    }
}
