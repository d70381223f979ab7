internal import Telemetry

/// What one batch brought that was new, as a tail sees it. Shared by all subscribers, never copied.
final class TailBatch: Sendable {
    /// New lines of one stream: those of `kept` of all that came.
    struct Lines: Sendable {
        let lines: LogLines
        let kept: [Range<Int>]
    }

    /// The log position of the batch.
    let position: UInt64
    let streams: [Lines]
    /// About how much memory it holds.
    let bytes: Int

    /// What the batch at `position` brought.
    init(position: UInt64, streams: [Lines]) {
        self.position = position
        self.streams = streams
        bytes = streams.reduce(128) { $0 + $1.lines.bytes.count + $1.lines.count * LineColumns.lineOverheadBytes }
    }
}
