/// Which operating system this is: os-release(5). Slow lane.
final class HostReleaseCollector: Collector {
    private static let information = Metric.gauge(
        "node_os_info", "A metric with a constant '1' value labeled by the fields of os-release.")
    private static let version = Metric.gauge(
        "node_os_version", "Metric containing the major.minor part of the OS version.")
    private static let fields = [
        "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id",
        "version", "version_codename", "version_id",
    ]

    private let context: CollectionContext

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard let text = context.host.text("/etc/os-release") ?? context.host.text("/usr/lib/os-release") else {
            return
        }
        let values = Self.values(text)
        let labels = Self.fields.map { ($0, values[$0] ?? "") }
        samples.set(samples.slot(Self.information, labels), 1 as Double)
        let number = (values["version_id"] ?? "").split(separator: ".").prefix(2).joined(separator: ".")
        guard let version = Double(number) else { return }
        let named = ["id", "id_like", "name"].map { ($0, values[$0] ?? "") }
        samples.set(samples.slot(Self.version, named), version)
    }

    /// The assignments of a text by their names in small letters, without quotes.
    static func values(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            var value = line[line.index(after: equals)...]
            if let quote = value.first, quote == "\"" || quote == "'", value.count > 1, value.last == quote {
                value = value.dropFirst().dropLast()
            }
            values[line[..<equals].lowercased()] = String(value)
        }
        return values
    }
}
