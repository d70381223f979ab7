/// A value within a template, with the Go type that Prometheus would give it.
package indirect enum TemplateValue: Hashable, Sendable {
    /// Nothing: an absent field of the data.
    case nothing
    case text(String)
    case integer(Int64)
    case float(Double)
    case boolean(Bool)
    /// A map of text to text: labels.
    case map([String: String])
    case list([TemplateValue])
    /// A JSON object.
    case object([String: TemplateValue])
    /// One element of a query's answer, with the fields `Labels` and `Value`.
    case sample(labels: [String: String], value: Double)
    /// Seconds since 1970, printed as a date.
    case time(Double)
    /// Nanoseconds since 1970, printed as a date in UTC.
    case instant(Int64)
    /// Nanoseconds since 1970, printed as a date in a zone.
    case zonedInstant(Int64, TimeZoneOffset)
    /// Seconds, printed as Go prints a duration.
    case duration(Double)
    /// What `.` is at first: `Labels`, `Value`, `ExternalLabels`, `ExternalURL`.
    case root(TemplateData)

    /// The Go type, for messages and `%T`.
    var typeName: String {
        switch self {
        case .nothing: "<nil>"
        case .text: "string"
        case .integer: "int"
        case .float: "float64"
        case .boolean: "bool"
        case .map: "map[string]string"
        case .list: "template.queryResult"
        case .object: "map[string]interface {}"
        case .instant, .zonedInstant: "time.Time"
        case .sample: "*template.sample"
        case .time: "*time.Time"
        case .duration: "*time.Duration"
        case .root: "template.tmplData"
        }
    }

    /// Go's idea of truth: not zero, not empty.
    var isTrue: Bool {
        switch self {
        case .nothing: false
        case .text(let text): !text.isEmpty
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .boolean(let value): value
        case .map(let map): !map.isEmpty
        case .list(let list): !list.isEmpty
        case .object(let members): !members.isEmpty
        case .sample, .time, .instant, .zonedInstant, .duration, .root: true
        }
    }

    /// The value as `{{ value }}` prints it.
    var printed: String {
        if case .nothing = self { return "<no value>" }
        return described
    }

    /// The value as `%v` prints it.
    var described: String {
        switch self {
        case .nothing: "<nil>"
        case .text(let text): text
        case .integer(let value): String(value)
        case .float(let value): GoFloat.shortest(value)
        case .boolean(let value): value ? "true" : "false"
        case .map(let map):
            "map[" + map.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: " ") + "]"
        case .object(let members):
            "map["
                + members.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.described)" }
                .joined(separator: " ") + "]"
        case .instant(let nanoseconds): GoTimeLayout.printed.text(nanoseconds)
        case .zonedInstant(let nanoseconds, let offset): GoTimeLayout.printed.text(nanoseconds, offset)
        case .list(let list): "[" + list.map(\.described).joined(separator: " ") + "]"
        case .sample(let labels, let value): "&{\(TemplateValue.map(labels).described) \(GoFloat.shortest(value))}"
        case .time(let seconds): Humanize.goTime(seconds: seconds)
        case .duration(let seconds): Humanize.goDuration(seconds: seconds)
        case .root: "{}"
        }
    }
}

/// What a template may look at.
package struct TemplateData: Hashable, Sendable {
    /// The labels of the alert: `$labels`.
    package var labels: [String: String]
    /// The value of the expression: `$value`.
    package var value: Double
    /// The labels of this installation: `$externalLabels`.
    package var externalLabels: [String: String]
    /// Where people reach this installation: `$externalURL`.
    package var externalURL: String
    /// The time of the evaluation, for `now` and `query`.
    package var milliseconds: Int64

    /// Data of one alert at one evaluation.
    package init(
        labels: [String: String], value: Double, externalLabels: [String: String] = [:], externalURL: String = "",
        milliseconds: Int64
    ) {
        self.labels = labels
        self.value = value
        self.externalLabels = externalLabels
        self.externalURL = externalURL
        self.milliseconds = milliseconds
    }
}
