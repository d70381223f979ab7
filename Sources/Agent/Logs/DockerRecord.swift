internal import Telemetry

/// One record of a json-file log: a piece of a line, which stream it came from, and when.
struct DockerRecord {
    /// Where a container wrote it.
    enum Stream: Int, CaseIterable {
        case standardOutput
        case standardError

        /// The value of the `stream` label.
        var label: String { self == .standardOutput ? "stdout" : "stderr" }
    }

    var stream: Stream
    var nanoseconds: Int64

    /// Reads one line of the file (`{"log":"…\n","stream":"stdout","time":"…"}`, other members are passed over) and
    /// appends the text, line end included, to `text`. Nil when it is no such record; `text` is then as it was.
    static func parse(_ line: UnsafeRawBufferPointer, into text: inout [UInt8]) -> DockerRecord? {
        let before = text.count
        do {
            return try read(line, into: &text)
        } catch {
            text.removeSubrange(before...)
            return nil
        }
    }

    private static func read(
        _ line: UnsafeRawBufferPointer, into text: inout [UInt8]
    ) throws(ByteError) -> DockerRecord {
        var scanner = JSONScanner(line)
        var record = DockerRecord(stream: .standardOutput, nanoseconds: 0)
        var isRecord = false
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            if key == "log" {
                let before = text.count
                try scanner.string().append(to: &text)
                isRecord = text.count > before || isRecord
            } else if key == "stream" {
                let isError = try scanner.string() == "stderr"
                record.stream = isError ? .standardError : .standardOutput
            } else if key == "time" {
                record.nanoseconds = Timestamps.nanoseconds(rfc3339: try scanner.string().raw) ?? 0
                isRecord = true
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard isRecord else { throw ByteError(offset: 0, reason: "neither log nor time") }
        return record
    }
}
