internal import Glibc
internal import Logging
internal import Telemetry

/// The process' own log on standard error, one line an entry: time, level, message, then its fields as logfmt.
struct StandardErrorLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = LogfmtWriter()
        let given = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in given.sorted(by: { $0.key < $1.key }) { fields.pair(key, "\(value)") }
        if let error = event.error { fields.pair("error", "\(error)") }
        let time = Timestamps.column(milliseconds: SystemWallClock().nowMilliseconds)
        // What others wrote may stand in a message; it must not look like an entry of its own.
        let message = event.message.description.split(whereSeparator: \.isNewline).joined(separator: " | ")
        let line = "\(time) \(event.level): \(message)\(fields.bytes.isEmpty ? "" : " ")\(fields.text)\n"
        // In one call, so that entries of several threads do not mix. Who no longer reads the log stops nothing.
        _ = Array(line.utf8).withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
