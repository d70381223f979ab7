internal import Telemetry
internal import Wire

/// Metrics that others write into files: `*.prom` in a folder, as node_exporter's textfile collector reads them. Slow
/// lane.
///
/// A file that cannot be read as a whole gives nothing, and `node_textfile_scrape_error` is 1; the others are taken all
/// the same. Samples with times of their own are an error there as they are in node_exporter.
final class HostTextfileCollector: Collector {
    private static let failed = Metric.gauge(
        "node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise")
    private static let modified = Metric.gauge(
        "node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.")
    private static let filesMaximum = 64
    private static let fileBytesMaximum = 4 << 20
    /// Of all files together, since the agent's start: a script that makes up labels must not fill the memory.
    private static let seriesMaximum = 10_000

    /// A sample of a file.
    struct Reading: Equatable {
        var metric: Metric
        var labels: [(String, String)]
        var value: Double

        static func == (left: Reading, right: Reading) -> Bool {
            left.metric == right.metric && left.value.bitPattern == right.value.bitPattern
                && left.labels.elementsEqual(right.labels) { $0 == $1 }
        }
    }

    private let context: CollectionContext
    private let folder: String
    private var slots: [Labels: TargetSamples.Slot] = [:]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let folder = context.textfileFolder, !folder.isEmpty else { return nil }
        self.context = context
        self.folder = folder
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        let names = (context.host.names(folder) ?? []).filter { $0.hasSuffix(".prom") }
        var hasFailed = names.count > Self.filesMaximum
        for name in names.prefix(Self.filesMaximum) {
            let path = "\(folder)/\(name)"
            do {
                guard let bytes = context.host.bytes(path, limit: Self.fileBytesMaximum) else {
                    throw TextfileError("it cannot be read, or is larger than 4 MiB")
                }
                for reading in try Self.readings(bytes) { try set(reading, samples) }
                context.notices.settle(path)
                if let time = context.modifiedSeconds(context.host.path(path)) {
                    samples.set(samples.slot(Self.modified, ("file", path)), Double(time))
                }
            } catch {
                hasFailed = true
                context.notices.say(
                    .warning, about: path, "\(path) is left out until it is mended, the other files are taken: \(error)"
                )
            }
        }
        samples.set(samples.slot(Self.failed), hasFailed ? 1 : 0 as Double)
    }

    private func set(_ reading: Reading, _ samples: TargetSamples) throws(TextfileError) {
        let key = Labels(
            reading.labels.map { (name: $0.0, value: $0.1) }
                + [(name: Labels.metricNameLabel, value: reading.metric.name)])
        if let slot = slots[key] { return samples.set(slot, reading.value) }
        guard slots.count < Self.seriesMaximum else {
            throw TextfileError("\(Self.seriesMaximum) series were read since the agent's start, which is the most")
        }
        let slot = samples.slot(reading.metric, reading.labels)
        slots[key] = slot
        samples.set(slot, reading.value)
    }

    /// What a file holds, all or nothing.
    static func readings(_ bytes: [UInt8]) throws(TextfileError) -> [Reading] {
        let items: [ExpositionParser.Item]
        do {
            items = try ExpositionParser.parse(bytes)
        } catch {
            throw TextfileError("\(error)")
        }
        var kinds: [String: MetricKind] = [:]
        var helps: [String: String] = [:]
        var readings: [Reading] = []
        for item in items {
            switch item {
            case .type(let name, let kind): kinds[name] = kind
            case .help(let name, let text): helps[name] = text
            case .sample(let labels, let value, let milliseconds):
                guard let name = labels.metricName else { continue }
                guard milliseconds == nil else { throw TextfileError("\(name) has a time of its own") }
                let family = ["_bucket", "_sum", "_count"].lazy.compactMap { suffix in
                    name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil
                }.first { kinds[$0] != nil }
                let metric = Metric(
                    name: name, kind: kinds[name] ?? family.flatMap { kinds[$0] } ?? .unknown,
                    help: helps[name] ?? family.flatMap { helps[$0] } ?? "")
                // Who says it is not the file's to say; Prometheus renames what it finds the same way.
                let own = labels.pairs.filter { $0.name != Labels.metricNameLabel }.map { pair in
                    (["job", "instance", "node"].contains(pair.name) ? "exported_\(pair.name)" : pair.name, pair.value)
                }
                readings.append(Reading(metric: metric, labels: own, value: value))
            default: continue
            }
        }
        return readings
    }
}

/// Why a file of metrics was left out.
struct TextfileError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
