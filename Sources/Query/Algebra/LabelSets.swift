internal import Telemetry

/// What queries do with sets of labels: keys for grouping and matching, and the removal of what describes the metric.
enum LabelSets {
    /// The labels that say what a metric is rather than where it comes from.
    static let metadataNames: Set<String> = ["__name__", "__type__", "__unit__"]

    /// Without the metric's name, type and unit.
    static func withoutMetadata(_ labels: Labels) -> Labels { labels.dropping(metadataNames) }

    /// The labels of the group that `labels` falls into.
    static func group(_ labels: Labels, by names: Set<String>, isWithout: Bool) -> Labels {
        if isWithout { return labels.dropping(names.union(["__name__"])) }
        return names.isEmpty ? .empty : labels.keeping(names)
    }

    /// The labels that two series must share to match.
    static func signature(_ labels: Labels, _ matching: VectorMatching) -> Labels {
        let names = Set(matching.labels)
        return matching.isOn ? labels.keeping(names) : labels.dropping(names.union(["__name__"]))
    }

    /// Whether a label may have this name: anything but nothing and what was not UTF-8.
    static func isValidName(_ name: String) -> Bool { !name.isEmpty && !name.contains("\u{fffd}") }

    /// The labels as Prometheus' errors print them: all in braces, the name too.
    static func text(_ labels: Labels) -> String {
        let parts = labels.pairs.map { "\(PromQLNames.quotedIfNeeded($0.name))=\(GoText.quoted($0.value))" }
        return "{\(parts.joined(separator: ", "))}"
    }
}
