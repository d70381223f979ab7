internal import Telemetry

/// `load` of a LogQL script: lines with their streams, times and structured metadata.
struct LogScriptLoad: Sendable {
    /// One line.
    struct Line: Sendable {
        var stream: Labels
        var nanoseconds: Int64
        var text: String
        var metadata: Labels
    }

    /// The number of the script's line, which tells loads apart.
    var number: Int
    var lines: [Line] = []
}
