internal import Telemetry

/// What a limit of the number of series is of.
enum SeriesLimit: Hashable, Sendable, CustomStringConvertible {
    /// The whole database.
    case all
    case target(Labels)
    case metric(String)
    /// Targets and metrics that are too many to be counted apart.
    case others

    var description: String {
        switch self {
        case .all: "all series"
        case .target(let labels): "target \(labels)"
        case .metric(let name): "metric \(name)"
        case .others: "others"
        }
    }

    /// How its counter is labelled.
    var labels: Labels {
        switch self {
        case .all: Labels([(name: "limit", value: "all")])
        case .target(let labels): Labels([(name: "limit", value: "target"), (name: "target", value: "\(labels)")])
        case .metric(let name): Labels([(name: "limit", value: "metric"), (name: "metric", value: name)])
        case .others: Labels([(name: "limit", value: "others")])
        }
    }
}
