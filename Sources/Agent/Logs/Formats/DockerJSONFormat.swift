internal import Telemetry

/// Docker's json-file: `{"log":"…\n","stream":"stdout","time":"…"}`, other members are passed over. A line longer than
/// 16 KiB comes in pieces; only the last piece ends with a line end (moby, daemon/logger/copier.go).
struct DockerJSONFormat: LogFormat {
    static let name = "docker"

    /// Docker flushes a piece without a line end when its buffer of this size is full, or at the end of the stream.
    static let bufferBytes = 16 << 10

    func parse(_ line: UnsafeRawBufferPointer, into text: inout [UInt8]) -> LogRecord? {
        do {
            return try Self.read(line, into: &text)
        } catch {
            return nil
        }
    }

    private static func read(
        _ line: UnsafeRawBufferPointer, into text: inout [UInt8]
    ) throws(ByteError) -> LogRecord {
        var scanner = JSONScanner(line)
        var record = LogRecord(stream: .standardOutput, nanoseconds: 0, ending: .complete)
        var isRecord = false
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            if key == "log" {
                try scanner.string().append(to: &text)
                isRecord = isRecord || !text.isEmpty
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
        record.ending = Self.ending(&text)
        return record
    }

    /// Takes the line end off. A piece that did not fill Docker's buffer is the last its stream will ever write.
    static func ending(_ text: inout [UInt8]) -> LogRecord.Ending {
        if text.last == UInt8(ascii: "\n") {
            text.removeLast()
            return .complete
        }
        return text.count < bufferBytes ? .last : .partial
    }
}
