internal import Alerting
internal import Telemetry
internal import Transport
internal import Wire

/// `/metrics`: what the server says about itself, for any Prometheus.
struct MetricsPage: Sendable {
    let dependencies: ServerDependencies
    let metrics: ServerMetrics
    let memory: MemoryGuard
    let runner: QueryRunner
    let pool: QueryPool
    let connections: ConnectionGauge
    let polls: LongPolls
    let startMilliseconds: Int64

    /// Answers a scrape.
    func answer(_ request: ServerRequest) async throws -> ListenerResponse {
        .exposition(MetricsPage.text(readings), acceptsGzip: request.acceptsGzip)
    }

    private var readings: [StoreMetric] {
        let usage = ProcessUsage.read()
        let build = dependencies.build
        let now = dependencies.wallClock.nowNanoseconds
        let seen = dependencies.agents.counts(since: now - 60_000_000_000)
        let load = pool.load
        let own = [
            StoreMetric(
                "vedette_build_info", .gauge, 1, help: "The build that runs.",
                labels: Labels(["version": build.version, "revision": build.revision, "compiler": build.compiler])),
            StoreMetric(
                "process_cpu_seconds_total", .counter, usage.processorSeconds,
                help: "Total user and system CPU time spent in seconds."),
            StoreMetric(
                "process_resident_memory_bytes", .gauge, Double(usage.residentBytes),
                help: "Resident memory size in bytes."),
            StoreMetric(
                "process_virtual_memory_bytes", .gauge, Double(usage.virtualBytes),
                help: "Virtual memory size in bytes."),
            StoreMetric(
                "process_open_fds", .gauge, Double(usage.openDescriptors), help: "Number of open file descriptors."),
            StoreMetric(
                "process_max_fds", .gauge, Double(usage.descriptorsMaximum),
                help: "Maximum number of open file descriptors."),
            StoreMetric("process_threads", .gauge, Double(usage.threads), help: "Number of threads."),
            StoreMetric(
                "process_start_time_seconds", .gauge, Double(startMilliseconds) / 1_000,
                help: "Start time of the process since unix epoch in seconds."),
            StoreMetric(
                "vedette_http_connections", .gauge, Double(connections.count), help: "Open connections of clients."),
            StoreMetric("vedette_agents_waiting", .gauge, Double(polls.count), help: "Agents that wait for commands."),
            StoreMetric("vedette_queries_running", .gauge, Double(load.running), help: "Queries that run now."),
            StoreMetric(
                "vedette_queries_waiting", .gauge, Double(load.waiting), help: "Queries that wait for a thread."),
            StoreMetric(
                "vedette_queries_resting", .gauge, Double(pool.restingCount),
                help: "Queries that take long and wait for their turn."),
            StoreMetric(
                "vedette_queries_shared_total", .counter, Double(runner.flights.sharedCount),
                help: "Answers that an equal query at the same time had asked for already."),
            StoreMetric(
                "vedette_queries_memory_bytes", .gauge, Double(runner.budget.bytesInUse),
                help: "Memory that queries have reserved."),
            StoreMetric("vedette_agents", .gauge, Double(seen.all), help: "Agents seen since the start."),
            StoreMetric(
                "vedette_agents_connected", .gauge, Double(seen.recent), help: "Agents seen within the last minute."),
        ]
        let stores = dependencies.metricAdministration.metrics + dependencies.logAdministration.metrics
        return own + dependencies.ownMetrics() + memory.readings + metrics.readings + dependencies.alerting.metrics
            + stores
    }

    /// The text format: readings of one metric stand together, in the order of their first.
    static func text(_ readings: [StoreMetric]) -> [UInt8] {
        var order: [String] = []
        var families: [String: [StoreMetric]] = [:]
        for reading in readings {
            let family = family(of: reading)
            if families[family] == nil { order.append(family) }
            families[family, default: []].append(reading)
        }
        var writer = ExpositionWriter()
        for family in order {
            guard let members = families[family], let first = members.first else { continue }
            writer.family(family, first.kind, help: first.help)
            for reading in members { writer.sample(reading.name, reading.labels, reading.value) }
        }
        return writer.bytes
    }

    /// The series of a histogram belong to the metric without their suffix.
    private static func family(of reading: StoreMetric) -> String {
        guard reading.kind == .histogram || reading.kind == .summary else { return reading.name }
        for suffix in ["_bucket", "_sum", "_count"] where reading.name.hasSuffix(suffix) {
            return String(reading.name.dropLast(suffix.count))
        }
        return reading.name
    }
}

extension ListenerResponse {
    /// Metrics in the text format, compressed where the client takes it and it pays.
    static func exposition(_ text: [UInt8], acceptsGzip: Bool) -> ListenerResponse {
        let fields = [
            HTTPField("Content-Type", ExpositionWriter.contentType), HTTPField("Vary", "Accept-Encoding"),
        ]
        guard acceptsGzip, text.count >= PiecewiseAnswer.gzipBytesMinimum else {
            return ListenerResponse(status: 200, fields: fields, body: .bytes(text))
        }
        return ListenerResponse(
            status: 200, fields: fields + [HTTPField("Content-Encoding", "gzip")],
            body: .bytes(Compression.gzip.compress(text, level: 1)))
    }
}
