package import Telemetry

/// How bad a line says it is, as the label `detected_level`. A store keeps it with every line (`LineSeverity`); of
/// lines that come without it, it is found out where a query or an answer asks for it, by the same rule.
package enum LineLevel {
    /// The label's name.
    package static let label = LineSeverity.label

    /// The level of a line with these labels: "error", "info", …, or "unknown".
    package static func name(of text: ArraySlice<UInt8>, stream: Labels, metadata: Labels) -> String {
        let known = LineSeverity.severity(of: stream) ?? LineSeverity.severity(of: metadata)
        return (known ?? SeverityDetector.severity(of: text)).name
    }

    /// Gives a line its level unless it has one. `stored` is the number that its store keeps, nil where it does not
    /// say.
    static func add(to line: inout PipelineLine, _ origin: LineOrigin, stored: UInt8?) {
        guard line.labels[label] == nil else { return }
        let name = stored.flatMap { LineSeverity.name(of: $0) }
        line.labels.set(
            label, name ?? LineLevel.name(of: line.text, stream: origin.stream, metadata: origin.metadata), .metadata)
    }
}
