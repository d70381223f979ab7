internal import Telemetry

/// Where the lines of a stream come from, as limits and shares see it: one container, or else one service on one host.
/// It follows from the labels alone, so that it is the same after a restart and for parts of any age.
struct LineSource: Hashable, Sendable, CustomStringConvertible {
    private let name: String

    var description: String { name }

    /// The labels that make a container out, which is what Kubernetes, Docker and their log shippers call them.
    private static let containerNames = ["node", "namespace", "pod", "container"]
    /// What makes a service out where there is no container, the first that is there.
    private static let serviceNames = ["service_name", "service", "job", "app", "unit", "source"]
    private static let hostNames = ["node", "host", "hostname", "instance"]

    /// The source of a stream. Without any of the labels that tell it, each stream is one by itself.
    init(_ labels: Labels) {
        var pairs: [(String, String)] = []
        if labels["container"] != nil {
            pairs = LineSource.containerNames.compactMap { name in labels[name].map { (name, $0) } }
        } else if let service = LineSource.first(LineSource.serviceNames, of: labels) {
            pairs = [LineSource.first(LineSource.hostNames, of: labels), service].compactMap { $0 }
        }
        name =
            pairs.isEmpty
            ? "\(labels)" : "{" + pairs.map { "\($0)=\(QuotedText.quoted($1))" }.joined(separator: ", ") + "}"
    }

    private static func first(_ names: [String], of labels: Labels) -> (String, String)? {
        for name in names {
            if let value = labels[name] { return (name, value) }
        }
        return nil
    }
}
