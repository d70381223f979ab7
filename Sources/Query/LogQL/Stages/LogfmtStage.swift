internal import Telemetry

/// `| logfmt`: the pairs of a logfmt line become labels; `| logfmt a, b="c"` takes single ones.
package struct LogfmtStage: KeywordStage {
    static let keyword = "logfmt"
    /// Whether a broken pair is an error rather than passed over.
    package var isStrict: Bool
    /// Whether empty values become labels.
    package var keepsEmpty: Bool
    package var extractions: [LabelExtraction]
    package var span: SourceSpan

    package var description: String {
        let flags = (isStrict ? " --strict" : "") + (keepsEmpty ? " --keep-empty" : "")
        return LogStageText.joined("| logfmt\(flags)", extractions)
    }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> LogfmtStage {
        var stage = LogfmtStage(isStrict: false, keepsEmpty: false, extractions: [], span: span)
        while case .flag(let flag) = parser.token.kind {
            switch flag {
            case "strict": stage.isStrict = true
            case "keep-empty": stage.keepsEmpty = true
            default: throw parser.unexpected()
            }
            parser.advance()
        }
        stage.extractions = try LabelExtraction.list(&parser)
        for extraction in stage.extractions where extraction.path.isEmpty || extraction.path.contains(" ") {
            throw parser.failure("cannot parse expression [\(extraction.path)]: syntax error", at: span)
        }
        return stage
    }

    func process(_ line: inout PipelineLine) -> Bool {
        if line.labels.hasAllNeeded { return true }
        let text = line.text
        text.withUnsafeBytes { raw in
            var scanner = LogfmtScanner(raw)
            var found: [String: String] = [:]
            while true {
                do throws(ByteError) {
                    guard let (key, value) = try scanner.next() else { break }
                    if extractions.isEmpty {
                        add(key, value, to: &line.labels)
                        if line.labels.hasAllNeeded { return }
                    } else if let name = wanted(key) {
                        found[name] = value.string
                    }
                } catch {
                    if !isStrict { continue }
                    line.labels.fail(LineError.logfmt, LineError.details(ofLogfmt: error))
                    return
                }
            }
            for extraction in extractions {
                if let value = found[extraction.path] {
                    line.labels.set(line.labels.parsedName(extraction.label), value)
                } else if line.labels[extraction.label] == nil {
                    line.labels.set(extraction.label, "")
                }
            }
        }
        return true
    }

    /// Of two pairs with one key the first counts; for `| logfmt a` the last.
    private func add(_ key: UnsafeRawBufferPointer, _ value: LogfmtScanner.Value, to labels: inout LineLabels) {
        if value.raw.isEmpty, !keepsEmpty { return }
        let name = FieldName.sanitized(String(decoding: key, as: UTF8.self))
        guard !name.isEmpty else { return }
        let label = labels.parsedName(name)
        if labels.isNeeded(label), !labels.isParsed(label) { labels.set(label, value.string) }
    }

    private func wanted(_ key: UnsafeRawBufferPointer) -> String? {
        extractions.first { $0.path.utf8.elementsEqual(key) }?.path
    }
}
