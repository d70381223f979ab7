internal import Telemetry

/// `| unpack`: undoes the packing of labels into the line: the texts of a JSON object become labels, `_entry` the
/// line.
package struct UnpackStage: KeywordStage {
    /// The member that holds the line as it was.
    private static let entryKey = "_entry"

    static let keyword = "unpack"
    package var span: SourceSpan

    package var description: String { "| unpack" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> UnpackStage {
        UnpackStage(span: span)
    }

    var changesText: Bool { true }

    func process(_ line: inout PipelineLine) -> Bool {
        let text = line.text
        guard !text.isEmpty, !line.labels.hasAllNeeded else { return true }
        guard text.first == UInt8(ascii: "{") else {
            line.labels.fail(LineError.json, "expecting json object(6), but it is not")
            return true
        }
        do throws(ByteError) {
            let result = text.withUnsafeBytes { raw in
                Result { () throws(ByteError) in try UnpackStage.members(raw) }
            }
            let (entry, members) = try result.get()
            // An object without a packed line is no packed line.
            guard let entry else { return true }
            for member in members {
                let label = line.labels.parsedName(member.name)
                if line.labels.isNeeded(label), !line.labels.isParsed(label) { line.labels.set(label, member.value) }
            }
            line.text = entry[...]
        } catch {
            line.labels.fail(LineError.json, LineError.details(ofJSON: error))
        }
        return true
    }

    private static func members(
        _ raw: UnsafeRawBufferPointer
    ) throws(ByteError) -> (entry: [UInt8]?, members: [(name: String, value: String)]) {
        var scanner = JSONScanner(raw)
        var entry: [UInt8]?
        var members: [(name: String, value: String)] = []
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            guard try scanner.peek() == .string else {
                try scanner.skipValue()
                continue
            }
            let value = try scanner.string()
            let name = key.string
            if name == entryKey {
                entry = value.unescaped
            } else {
                members.append((FieldName.sanitized(name), value.string))
            }
        }
        return (entry, members)
    }
}
