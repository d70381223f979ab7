internal import Query
internal import Telemetry

/// A line as it came from the server.
struct FoundLine {
    var nanoseconds: Int64
    var labels: Labels
    var text: [UInt8]
    /// Nil for a line that was asked for; else `event` or `context`.
    var role: String?
}

/// One record of a streamed answer (docs/formats/log-lines.md).
enum LogRecord {
    case version(Int64)
    case labels(Int, Labels)
    case line(of: Int, FoundLine)
    case gap
    case summary(JSONValue)
    case failure(String)

    /// Reads one record. Lines come by the million, so they are read without making a tree.
    init(parsing json: ArraySlice<UInt8>) throws {
        let line = try json.withUnsafeBytes { try LogRecord.line($0) }
        if let line {
            self = line
            return
        }
        let value = try JSONValue(parsing: Array(json))
        if let version = value["version"]?.wholeNumber {
            self = .version(version)
        } else if let number = value["labels"]?.wholeNumber {
            var pairs: [(name: String, value: String)] = []
            for member in value["set"]?.members ?? [] { pairs.append((member.key, member.value.text ?? "")) }
            self = .labels(Int(number), Labels(keepingEmptyValues: pairs))
        } else if let error = value["error"]?.text {
            self = .failure(error)
        } else if value["gap"] != nil {
            self = .gap
        } else {
            self = .summary(value)
        }
    }

    private static func line(_ bytes: UnsafeRawBufferPointer) throws -> LogRecord? {
        var scanner = JSONScanner(bytes)
        try scanner.enterObject()
        guard let first = try scanner.nextKey(), first.string == "of" else { return nil }
        let number = Int(try scanner.integer())
        var found = FoundLine(nanoseconds: 0, labels: .empty, text: [], role: nil)
        while let key = try scanner.nextKey() {
            switch key.string {
            case "time": found.nanoseconds = Int64(try scanner.string().string) ?? 0
            case "role": found.role = try scanner.string().string
            case "line": found.text = try scanner.string().unescaped
            case "bytes": found.text = Hexadecimal.bytes(try scanner.string().string) ?? found.text
            default: try scanner.skipValue()
            }
        }
        return .line(of: number, found)
    }
}
