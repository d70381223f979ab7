internal import Telemetry

/// What queries do with sets of labels: keys for grouping and matching, and the removal of what describes the metric.
enum LabelSets {
    /// All but the labels that say what a metric is rather than where it comes from.
    private static let withoutMetadata = LabelGrouping(["__type__", "__unit__"], isWithout: true)

    /// Without the metric's name, type and unit.
    static func withoutMetadata(_ labels: Labels) -> Labels { withoutMetadata.picked(labels) }

    /// Whether a label may have this name: anything but nothing and what was not UTF-8.
    static func isValidName(_ name: String) -> Bool { !name.isEmpty && !name.contains("\u{fffd}") }

    /// The labels as Prometheus' errors print them: all in braces, the name too.
    static func text(_ labels: Labels) -> String {
        let parts = labels.pairs.map { "\(PromQLNames.quotedIfNeeded($0.name))=\(GoText.quoted($0.value))" }
        return "{\(parts.joined(separator: ", "))}"
    }
}
