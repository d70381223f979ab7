/// Where a process wrote a line.
enum LogStream: Int, CaseIterable, Sendable {
    case standardOutput
    case standardError

    /// The value of the `stream` label.
    var label: String { self == .standardOutput ? "stdout" : "stderr" }
}

/// One record of a log: a piece of a line, which stream it came from, and when.
struct LogRecord: Equatable {
    /// How a record ends its line.
    enum Ending: Equatable {
        /// The line is whole.
        case complete
        /// The rest follows in another record.
        case partial
        /// No more of the line will ever come: its writer ended in the middle of it.
        case last
    }

    var stream: LogStream
    /// Nil where the format has no times: that of the reading stands in.
    var nanoseconds: Int64?
    var ending: Ending
}

/// Port: what one line of a log file says. A format is one type and one line in `LogFormats.all`. Pure.
protocol LogFormat: Sendable {
    /// The name people write in the configuration.
    static var name: String { get }

    init()

    /// Reads one line of the file, without its line end, and appends the text to `text`, which is empty. Nil when it is
    /// no record of this format; what `text` then holds does not matter.
    func parse(_ line: UnsafeRawBufferPointer, into text: inout [UInt8]) -> LogRecord?
}

/// The formats that files may have.
enum LogFormats {
    /// The only place a format is listed.
    static let all: [any LogFormat.Type] = [DockerJSONFormat.self, CRIFormat.self, PlainFormat.self]

    /// The format of a name; nil where there is none.
    static func format(named name: String) -> (any LogFormat)? { all.first { $0.name == name }?.init() }
}
