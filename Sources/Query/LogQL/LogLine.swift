package import Telemetry

/// One line of a log query's answer, with where it comes from.
package struct LogLine: Sendable {
    package var nanoseconds: Int64
    package var text: [UInt8]
    /// The labels that the pipeline left it with: stream, structured metadata, and what stages took from it.
    package var labels: Labels
    /// The labels of its stream alone.
    package var stream: Labels
    /// Those of them that stages left it.
    package var own: Labels
    /// Its structured metadata.
    package var metadata: Labels
    /// What stages took from it.
    package var parsed: Labels

    /// A line.
    package init(
        nanoseconds: Int64, text: [UInt8], labels: Labels, stream: Labels, metadata: Labels = .empty,
        parsed: Labels = .empty
    ) {
        self.nanoseconds = nanoseconds
        self.text = text
        self.labels = labels
        self.stream = stream
        own = stream
        self.metadata = metadata
        self.parsed = parsed
    }

    init(_ line: inout PipelineLine, _ origin: LineOrigin) {
        let parsed = line.labels.parsed()
        let own = line.labels.own()
        self.init(
            nanoseconds: line.nanoseconds, text: Array(line.text), labels: line.labels.result(), stream: origin.stream,
            metadata: origin.metadata, parsed: parsed)
        self.own = own
    }
}
