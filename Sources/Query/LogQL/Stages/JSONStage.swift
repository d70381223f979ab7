internal import Telemetry

/// `| json`: the members of a JSON object become labels; `| json a="b.c[0]"` takes single values.
package struct JSONStage: KeywordStage {
    static let keyword = "json"
    package let extractions: [LabelExtraction]
    package let span: SourceSpan
    let paths: [JSONPath]

    package var description: String { LogStageText.joined("| json", extractions) }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> JSONStage {
        let extractions = try LabelExtraction.list(&parser)
        var paths: [JSONPath] = []
        for extraction in extractions {
            guard let path = JSONPath(extraction.path) else {
                throw parser.failure("cannot parse expression [\(extraction.path)]: syntax error", at: span)
            }
            paths.append(path)
        }
        return JSONStage(extractions: extractions, span: span, paths: paths)
    }

    func process(_ line: inout PipelineLine) -> Bool {
        if line.labels.hasAllNeeded { return true }
        let text = line.text
        text.withUnsafeBytes { raw in
            guard paths.isEmpty else { return extract(raw, &line.labels) }
            var scanner = JSONScanner(raw)
            do throws(ByteError) {
                _ = try JSONStage.members(&scanner, prefix: "", &line.labels)
            } catch {
                line.labels.fail(LineError.json, LineError.details(ofJSON: error))
            }
        }
        return true
    }

    /// Makes labels of an object's members; of two with one name the first counts. Arrays and nulls are left out.
    /// False when all that is needed was found and the rest left unread.
    private static func members(
        _ scanner: inout JSONScanner, prefix: String, _ labels: inout LineLabels
    ) throws(ByteError) -> Bool {
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            let kind = try scanner.peek()
            if kind == .null || kind == .array {
                try scanner.skipValue()
                continue
            }
            let part = FieldName.sanitized(key.string, isFirst: prefix.isEmpty)
            let name = prefix.isEmpty || part.isEmpty ? prefix + part : "\(prefix)_\(part)"
            if kind == .object {
                guard try members(&scanner, prefix: name, &labels) else { return false }
                continue
            }
            let label = labels.parsedName(name)
            guard !name.isEmpty, labels.isNeeded(label), !labels.isParsed(label) else {
                try scanner.skipValue()
                continue
            }
            let value =
                kind == .string
                ? try scanner.string().string : String(decoding: try scanner.skipValue(), as: UTF8.self)
            labels.set(label, value)
            if labels.hasAllNeeded { return false }
        }
        return true
    }

    /// Sets the label of each path; what is not there, or stands behind something broken, is an empty value. Only a
    /// line that does not even begin as JSON does is an error.
    private func extract(_ raw: UnsafeRawBufferPointer, _ labels: inout LineLabels) {
        guard let first = raw.first else { return }
        guard [UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\"")].contains(first) else {
            labels.fail(LineError.json, "")
            return
        }
        for (extraction, path) in zip(extractions, paths) {
            var scanner = JSONScanner(raw)
            if let value = try? path.find(in: &scanner) {
                labels.set(labels.parsedName(extraction.label), value)
            } else if labels[extraction.label] == nil {
                labels.set(extraction.label, "")
            }
        }
    }
}
