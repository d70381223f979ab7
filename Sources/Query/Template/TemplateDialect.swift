/// Whose templates they are: the functions and variables known from the start.
enum TemplateDialect: Hashable, Sendable {
    /// Prometheus' rule files.
    case prometheus
    /// `line_format` and `label_format` of LogQL.
    case loki

    var functions: [String: TemplateFunctions.Function] {
        switch self {
        case .prometheus: TemplateFunctions.all
        case .loki: LineTemplateFunctions.all
        }
    }

    var variables: [String] {
        switch self {
        case .prometheus: ["$", "$labels", "$value", "$externalLabels", "$externalURL"]
        case .loki: ["$"]
        }
    }
}
