internal import Telemetry

/// Reads a streamed answer of lines and hands each to where it is shown.
struct LineReader {
    /// What the server says at the end.
    struct Summary {
        var lines = 0
        var linesScanned: Int64 = 0
        var bytesRead: Int64 = 0
        var blocksSkipped: Int64 = 0
        var skipped: [(kind: String, blocks: Int64)] = []
        var seconds: Double = 0
        var warnings: [String] = []

        fileprivate init() {}

        fileprivate init(_ value: JSONValue, lines: Int) {
            let summary = value["summary"]
            self.lines = lines
            linesScanned = summary?["linesScanned"]?.wholeNumber ?? 0
            bytesRead = summary?["bytesRead"]?.wholeNumber ?? 0
            blocksSkipped = summary?["blocksSkipped"]?.wholeNumber ?? 0
            skipped = (summary?["skipped"]?.members ?? []).map { ($0.key, $0.value.wholeNumber ?? 0) }
            seconds = summary?["seconds"]?.double ?? 0
            warnings = (value["warnings"]?.elements ?? []).compactMap(\.text)
        }
    }

    private var answer: AnswerLines
    private var labels: [Int: Labels] = [:]

    init(_ answer: AnswerLines) {
        self.answer = answer
    }

    /// Hands every line to `show` and every gap to `gap`; `pause` is called when nothing more is there yet. Fails
    /// where the answer breaks off.
    mutating func read(
        show: (FoundLine) async throws -> Void, gap: () -> Void = {}, pause: () -> Void = {}
    ) async throws -> Summary {
        var lines = 0
        while true {
            if !answer.hasMore { pause() }
            guard let json = try await answer.next() else { break }
            switch try LogRecord(parsing: json) {
            case .version(let version):
                guard version == 1 else {
                    throw CommandFailure("the server speaks version \(version) of this answer; update vedette here")
                }
            case .labels(let number, let set):
                if number == 0 { labels.removeAll() }
                labels[number] = set
            case .line(let number, var line):
                line.labels = labels[number] ?? .empty
                if line.role == nil { lines += 1 }
                try await show(line)
            case .gap: gap()
            case .summary(let value):
                pause()
                return Summary(value, lines: lines)
            case .failure(let words): throw CommandFailure(words)
            }
        }
        throw CommandFailure("the server ended the answer in the middle; what was printed is not all")
    }
}

extension LineReader.Summary {
    /// What was looked at, in one line; what is missing, each on its own.
    func note(limit: Int?) {
        for warning in warnings { Terminal.note("incomplete: \(warning)") }
        var text = lines == 1 ? "1 line" : "\(lines) lines"
        if let limit, lines >= limit { text += " (the newest; -m for more, -m 0 for all)" }
        text += ", \(linesScanned) scanned, \(ByteSizes.binary(bytesRead)) read"
        let kinds = skipped.map { "\($0.blocks) by \($0.kind)" }.joined(separator: ", ")
        let settled = max(blocksSkipped, skipped.reduce(0) { $0 + $1.blocks })
        if settled > 0 { text += ", \(settled) blocks skipped" + (kinds.isEmpty ? "" : " (\(kinds))") }
        if !warnings.isEmpty { text += ", incomplete" }
        text += ", \(FloatText.plain((seconds * 1_000).rounded())) ms"
        Terminal.note(text)
    }
}
