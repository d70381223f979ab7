package import Alerting
package import Query
package import Telemetry
internal import Transport

/// How one binary was built.
package struct BuildInformation: Sendable {
    package var version: String
    /// The commit, or empty.
    package var revision: String
    package var compiler: String

    /// A build.
    package init(version: String, revision: String, compiler: String) {
        self.version = version
        self.revision = revision
        self.compiler = compiler
    }
}

/// What the operator may set about the server.
package struct ServerOptions: Sendable {
    /// The cap of the whole process, 0 for none.
    package var memoryBytesMaximum: Int
    package var queryTimeoutMilliseconds: Int64 = 120_000
    /// Queries that run at once, each on a thread of its own.
    package var queryConcurrency: Int
    /// The memory of queries that wait for one of those threads.
    package var queriesWaitingBytesMaximum: Int
    /// What one query may hold in memory.
    package var queryBytesMaximum: Int
    /// What all queries together may hold in memory.
    package var queriesBytesMaximum: Int
    package var querySamplesMaximum = 50_000_000
    /// Queries that run longer have a thread beside `queryConcurrency` and take turns, so that they keep no others
    /// waiting.
    package var longQueryMilliseconds: Int64 = 50
    /// Queries that take longer are logged.
    package var slowQueryMilliseconds: Int64 = 5_000
    /// Labels that agents declared are remembered up to here; beyond, the oldest are forgotten and asked for again.
    package var dictionaryBytesMaximum: Int
    /// Shown by `/api/v1/status/flags`.
    package var flags: [String: String] = [:]
    /// Shown by `/api/v1/status/runtimeinfo`, for example "90d".
    package var retentionText = ""
    /// Whether `/api/v1/admin/tsdb/…` does anything.
    package var adminAPIEnabled = false
    /// Where that puts snapshots; nil for nowhere.
    package var snapshotFolder: String?
    /// Web pages of these origins may read answers in a browser; nil for none.
    package var crossOrigin: RegularExpression?

    /// Options under a cap (0: none).
    package init(memoryBytesMaximum: Int, queryConcurrency: Int = 4) {
        self.memoryBytesMaximum = memoryBytesMaximum
        self.queryConcurrency = max(1, queryConcurrency)
        queryBytesMaximum = memoryBytesMaximum == 0 ? 1 << 30 : max(16 << 20, memoryBytesMaximum / 4)
        queriesBytesMaximum = 2 * queryBytesMaximum
        queriesWaitingBytesMaximum = memoryBytesMaximum == 0 ? 128 << 20 : max(4 << 20, memoryBytesMaximum / 32)
        dictionaryBytesMaximum = memoryBytesMaximum == 0 ? 256 << 20 : max(8 << 20, memoryBytesMaximum / 8)
    }
}

/// One entry of the server's own log.
package struct ServerLogEntry: Sendable {
    /// How bad it is.
    package enum Level: String, Sendable {
        case info
        case warning
        case error
    }

    package var level: Level
    package var message: String
    package var fields: [(name: String, value: String)]

    /// An entry.
    package init(_ level: Level, _ message: String, fields: [(name: String, value: String)] = []) {
        self.level = level
        self.message = message
        self.fields = fields
    }
}

/// The configuration that is in force.
package struct ConfigurationStatus: Sendable {
    /// As YAML, with `<secret>` for what nobody may read.
    package var yaml: String
    /// Whether the last reading found no error.
    package var isGood: Bool
    /// When what is in force was read; milliseconds since 1970.
    package var readMilliseconds: Int64

    /// A configuration.
    package init(yaml: String = "", isGood: Bool = true, readMilliseconds: Int64 = 0) {
        self.yaml = yaml
        self.isGood = isGood
        self.readMilliseconds = readMilliseconds
    }
}

/// Everything the server works on, behind ports: stores, engine, clocks, and what only the product can do.
package struct ServerDependencies: Sendable {
    package var sampleAppender: any SampleAppender
    package var seriesSource: any SeriesSource
    /// Nil where exemplars are not kept.
    package var exemplarSource: (any ExemplarSource)?
    package var metricAdministration: any StorageAdministration
    package var logAppender: any LogAppender
    package var logSource: any LogSource
    package var logAdministration: any StorageAdministration
    package var alerting: AlertingService
    /// Which agent is which; nil believes everybody, for tests.
    package var bindings: AgentBindings?
    /// How nodes join; nil where nobody can (no TLS).
    package var enrolment: AgentEnrolment?
    /// What is scraped from here; nil when nothing can be.
    package var targets: (any TargetSource)?
    /// Shared with alerting, which must know where an agent runs and whether it lives.
    package var agents: KnownAgents
    package var engineOptions: Engine.Options
    package var wallClock: any WallClock
    package var monotonicClock: any MonotonicClock
    package var build: BuildInformation
    package var options: ServerOptions
    /// Who may do what; asked for each request, so that a reload can change it.
    package var tokens: @Sendable () -> [AccessToken]
    /// Reads configuration and rules again. Throws with words that name file and line; everything stays as it was then.
    package var reload: @Sendable () async throws -> Void
    package var log: @Sendable (ServerLogEntry) -> Void
    /// What was configured, for `/api/v1/status`.
    package var configuration: @Sendable () -> ConfigurationStatus = { ConfigurationStatus() }
    /// What the process around the server counts, for `/metrics`.
    package var ownMetrics: @Sendable () -> [StoreMetric] = { [] }

    /// Dependencies; what has a default may be left for tests.
    package init(
        sampleAppender: any SampleAppender, seriesSource: any SeriesSource,
        metricAdministration: any StorageAdministration, logAppender: any LogAppender, logSource: any LogSource,
        logAdministration: any StorageAdministration, alerting: AlertingService, agents: KnownAgents,
        engineOptions: Engine.Options = Engine.Options(),
        wallClock: any WallClock, monotonicClock: any MonotonicClock, build: BuildInformation, options: ServerOptions,
        tokens: @escaping @Sendable () -> [AccessToken] = { [] },
        reload: @escaping @Sendable () async throws -> Void = {},
        log: @escaping @Sendable (ServerLogEntry) -> Void = { _ in }
    ) {
        self.sampleAppender = sampleAppender
        self.seriesSource = seriesSource
        self.metricAdministration = metricAdministration
        self.logAppender = logAppender
        self.logSource = logSource
        self.logAdministration = logAdministration
        self.alerting = alerting
        self.agents = agents
        self.engineOptions = engineOptions
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock
        self.build = build
        self.options = options
        self.tokens = tokens
        self.reload = reload
        self.log = log
    }

    /// The engine over the two stores, with a look-back of its own where the request names one.
    func engine(lookbackMilliseconds: Int64? = nil) -> Engine {
        var options = engineOptions
        if let lookbackMilliseconds { options.lookbackMilliseconds = lookbackMilliseconds }
        return Engine(series: seriesSource, logs: logSource, options: options)
    }
}
