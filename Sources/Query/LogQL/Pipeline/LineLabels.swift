internal import Telemetry

/// The labels of one line on its way through a pipeline: those of its stream, its structured metadata, and what
/// stages take from the line. The first source to have a name keeps it; what comes later under the same name is
/// kept as NAME_extracted.
struct LineLabels {
    /// Where a label comes from.
    enum Category {
        case stream
        case metadata
        case parsed
    }

    fileprivate struct Entry {
        let name: String
        var value: String
        var category: Category
    }

    /// What many lines have in common: a stream and one set of structured metadata.
    struct Base {
        fileprivate let entries: [Entry]
        fileprivate let streamNames: [String]
        fileprivate let stream: Labels
        /// All of it as labels.
        let labels: Labels

        init(stream: Labels, metadata: Labels) {
            var entries = stream.pairs.map { Entry(name: $0.name, value: $0.value, category: .stream) }
            streamNames = entries.map(\.name)
            self.stream = stream
            for (name, value) in metadata.pairs {
                let isTaken = entries.contains { $0.name == name && $0.category == .stream }
                let name = isTaken ? name + LineLabels.suffix : name
                entries.append(Entry(name: name, value: value, category: .metadata))
            }
            self.entries = entries
            labels =
                metadata.isEmpty ? stream : Labels(keepingEmptyValues: entries.map { (name: $0.name, value: $0.value) })
        }
    }

    /// The label that names what went wrong with a line.
    static let errorName = "__error__"
    /// The label that says more about it.
    static let errorDetailsName = "__error_details__"
    private static let suffix = "_extracted"

    /// The labels that anybody will look at; nil for all.
    private let neededNames: Set<String>?
    private var base: Base
    private var entries: [Entry]
    private var isChanged = false
    private var builder = LabelsBuilder()
    /// What went wrong; empty when nothing did.
    private(set) var error = ""
    private(set) var errorDetails = ""

    init(_ base: Base, neededNames: Set<String>? = nil) {
        self.neededNames = neededNames
        self.base = base
        entries = base.entries
    }

    /// Begins the next line.
    mutating func reset(_ base: Base) {
        self.base = base
        entries = base.entries
        isChanged = false
        error = ""
        errorDetails = ""
    }

    /// The value of a label, nil when absent; errors are no labels here.
    subscript(name: String) -> String? { entries.first { $0.name == name }?.value }

    /// The value as a filter of text sees it: errors are labels too, and what is absent is empty.
    func text(_ name: String) -> String {
        switch name {
        case LineLabels.errorName: error
        case LineLabels.errorDetailsName: errorDetails
        default: self[name] ?? ""
        }
    }

    /// The name under which a field of the line is kept: its own, or NAME_extracted where a label of the stream or
    /// structured metadata has it.
    func parsedName(_ name: String) -> String {
        let isTaken =
            base.streamNames.contains(name) || entries.contains { $0.name == name && $0.category == .metadata }
        return isTaken ? name + LineLabels.suffix : name
    }

    /// Whether every label that anybody will look at was taken from the line. Parsers stop there: what stands
    /// behind in the line is not read and cannot fail.
    var hasAllNeeded: Bool {
        guard let neededNames, !neededNames.isEmpty else { return false }
        return neededNames.allSatisfy { name in
            guard isParsed(name) else { return false }
            // A field may have got its suffix only for standing behind a label of the stream.
            return !name.hasSuffix(LineLabels.suffix) || isParsed(String(name.dropLast(LineLabels.suffix.count)))
        }
    }

    /// Whether anybody will look at a label of this name.
    func isNeeded(_ name: String) -> Bool { neededNames?.contains(name) ?? true }

    func isParsed(_ name: String) -> Bool { entries.contains { $0.name == name && $0.category == .parsed } }

    mutating func set(_ name: String, _ value: String, _ category: Category = .parsed) {
        isChanged = true
        if let index = entries.firstIndex(where: { $0.name == name }) {
            entries[index].value = value
            entries[index].category = category
        } else {
            entries.append(Entry(name: name, value: value, category: category))
        }
    }

    mutating func remove(_ name: String) {
        guard let index = entries.firstIndex(where: { $0.name == name }) else { return }
        isChanged = true
        entries.remove(at: index)
    }

    /// Keeps the labels that satisfy `condition`.
    mutating func keep(_ condition: (_ name: String, _ value: String) -> Bool) {
        let count = entries.count
        entries.removeAll { !condition($0.name, $0.value) }
        if entries.count != count { isChanged = true }
    }

    mutating func fail(_ error: String, _ details: String) {
        self.error = error
        errorDetails = details
    }

    mutating func clearError() { error = "" }

    mutating func clearErrorDetails() { errorDetails = "" }

    /// Names and values, errors among them.
    var dictionary: [String: String] {
        var result: [String: String] = [:]
        for entry in entries { result[entry.name] = entry.value }
        if !error.isEmpty { result[LineLabels.errorName] = error }
        if !errorDetails.isEmpty { result[LineLabels.errorDetailsName] = errorDetails }
        return result
    }

    /// All labels, errors among them.
    mutating func result() -> Labels {
        if !isChanged, error.isEmpty, errorDetails.isEmpty { return base.labels }
        for entry in entries { builder.add(entry.name, entry.value) }
        if !error.isEmpty { builder.add(LineLabels.errorName, error) }
        if !errorDetails.isEmpty { builder.add(LineLabels.errorDetailsName, errorDetails) }
        return builder.buildKeepingEmptyValues()
    }

    /// Only the labels of the stream, as far as stages left them.
    mutating func own() -> Labels {
        guard isChanged else { return base.stream }
        for entry in entries where entry.category == .stream { builder.add(entry.name, entry.value) }
        return builder.buildKeepingEmptyValues()
    }

    /// Only the labels taken from the line.
    mutating func parsed() -> Labels {
        guard isChanged else { return .empty }
        for entry in entries where entry.category == .parsed { builder.add(entry.name, entry.value) }
        return builder.buildKeepingEmptyValues()
    }
}
