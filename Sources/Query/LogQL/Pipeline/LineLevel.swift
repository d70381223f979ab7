package import Telemetry

/// How bad a line says it is, as the label `detected_level`. Loki gives it to every line at its arrival; here it is
/// found out where a query or an answer asks for it, so that it costs nobody anything else.
package enum LineLevel {
    /// The label's name.
    package static let label = "detected_level"
    /// Labels that tell it where there are any, before the text is looked at.
    private static let sources = ["level", "severity", "severity_text", "lvl", "loglevel"]

    /// The level of a line with these labels: "error", "info", …, or "unknown".
    package static func name(of text: ArraySlice<UInt8>, stream: Labels, metadata: Labels) -> String {
        for source in sources {
            for labels in [metadata, stream] {
                guard let word = labels[source], case let severity = Severity(word: word), severity != .unknown else {
                    continue
                }
                return severity.name
            }
        }
        return SeverityDetector.severity(of: text).name
    }

    /// Gives a line its level unless it has one.
    static func add(to line: inout PipelineLine) {
        guard line.labels[label] == nil else { return }
        for source in sources {
            guard let word = line.labels[source], case let severity = Severity(word: word), severity != .unknown else {
                continue
            }
            line.labels.set(label, severity.name, .metadata)
            return
        }
        line.labels.set(label, SeverityDetector.severity(of: line.text).name, .metadata)
    }
}
