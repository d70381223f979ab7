internal import Agent
internal import Disk
internal import Server
internal import Telemetry
internal import Wire

/// The one YAML file of a process: what can be changed while it runs. Flags are for what cannot.
struct ConfigurationFile: Sendable {
    /// Who may do what: a token from a file, and the permissions it gives.
    struct Token: Sendable {
        var name: String
        var file: String
        var permissions: Set<Permission>
    }

    /// Certificate and key for TLS, as PEM files, or of the server's own authority.
    struct TLS: Sendable, Equatable {
        /// Nil, and so the next, for a certificate of the server's own authority.
        var certificateFile: String?
        var keyFile: String?
        /// Under which names and addresses agents and people reach a server with a certificate of its own authority.
        var names: [String] = []
        /// Who vouches for a certificate of the operator's: what agents are told to believe.
        var authorityFile: String?
        /// Clients must show a certificate of this authority; nil when they need none.
        var clientAuthorityFile: String?
        /// How long the certificate of an enrolled agent holds.
        var agentCertificateMilliseconds: Int64 = 30 * 86_400_000
    }

    var tokens: [Token] = []
    var tls: TLS?
    /// Web pages of these origins may read answers in a browser.
    var crossOrigin: RegularExpression?
    /// Whether series may be deleted and snapshots taken over Prometheus' admin API.
    var adminAPIEnabled = false
    var queryTimeoutMilliseconds: Int64 = 120_000
    var queryConcurrency: Int64 = 0
    var evaluationIntervalMilliseconds: Int64 = 1_000
    var retentionMetricsMilliseconds: Int64?
    var retentionLogsMilliseconds: Int64?
    var limits = StoreLimits()
    var agentIntervalMilliseconds: Int64?
    /// The path of the engine's socket.
    var agentDocker: String?
    var agentActions: String?
    var agentTextfiles: String?
    var agentLimits = SelfLimits()
    var agentLogs = LogSettings()
    /// Nil for what the environment of a pod says.
    var agentKubernetes: KubernetesSettings?
    var scrapeJobs: [ScrapeJob] = []
    /// The `alerting` section, read by the alerting room; nil when absent.
    var alerting: YAMLValue?

    /// A file that says nothing: the defaults.
    init() {}

    /// Reads and checks a file. Throws `ConfigurationError` with its place, or `CommandFailure` when it cannot be read.
    static func read(_ path: String) throws -> ConfigurationFile {
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 16 << 20)
        } catch {
            throw CommandFailure("the configuration cannot be read: \(error)")
        }
        guard let bytes else { throw CommandFailure("there is no configuration file \(path)") }
        return try ConfigurationFile(parsing: String(decoding: bytes, as: UTF8.self), file: path)
    }

    /// Checks the text of a file.
    init(parsing text: String, file: String) throws(ConfigurationError) {
        guard let root = try YAMLValue.parse(text, file: file) else { return }
        var mapping = try root.mapping()
        if let server = mapping.optional("server") { try readServer(server) }
        if let agent = mapping.optional("agent") { try readAgent(agent) }
        if let retention = mapping.optional("retention") { try readRetention(retention) }
        if let section = mapping.optional("limits") { try limits.readLimits(section) }
        if let section = mapping.optional("logs") { try limits.readLogs(section) }
        if let section = mapping.optional("scrape_configs") {
            scrapeJobs = try ScrapeConfiguration.jobs(section)
        }
        alerting = mapping.optional("alerting")
        try mapping.finish()
    }

    private mutating func readServer(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        for element in try mapping.elements("tokens") {
            var token = try element.mapping()
            let name = try token.required("name").text()
            let file = try token.required("file").text()
            let permissions = try ConfigurationFile.permissions(try token.required("permissions"))
            try token.finish()
            tokens.append(Token(name: name, file: file, permissions: permissions))
        }
        if let section = mapping.optional("tls") { tls = try ConfigurationFile.tls(section) }
        queryTimeoutMilliseconds =
            try ConfigurationFile.interval(mapping.optional("query_timeout")) ?? queryTimeoutMilliseconds
        if let section = mapping.optional("cors_origin") {
            let pattern = try section.text()
            do throws(RegularExpressionError) {
                crossOrigin = try RegularExpression(pattern)
            } catch {
                throw section.error("cors_origin: \(error)")
            }
        }
        adminAPIEnabled = try mapping.truth("admin_api") ?? false
        queryConcurrency = try mapping.integer("query_concurrency", in: 1...1_024) ?? 0
        evaluationIntervalMilliseconds =
            try ConfigurationFile.interval(mapping.optional("evaluation_interval")) ?? evaluationIntervalMilliseconds
        try mapping.finish()
    }

    private static func tls(_ value: YAMLValue) throws(ConfigurationError) -> TLS {
        var mapping = try value.mapping()
        var tls = TLS()
        if let file = try mapping.text("certificate_file") {
            tls.certificateFile = file
            tls.keyFile = try mapping.required("key_file").text()
            tls.authorityFile = try mapping.text("ca_file")
        } else {
            // Its own authority: somebody has to say under which names the server is reached.
            let names = try mapping.required("names")
            tls.names = try names.texts()
            guard !tls.names.isEmpty else {
                throw names.error("no name: write those under which the server is reached")
            }
        }
        tls.clientAuthorityFile = try mapping.text("client_ca_file")
        if let lifetime = mapping.optional("agent_certificate_lifetime") {
            tls.agentCertificateMilliseconds = try lifetime.durationMilliseconds()
            guard tls.agentCertificateMilliseconds >= 60_000 else { throw lifetime.error("too short: 1m is the least") }
        }
        try mapping.finish()
        return tls
    }

    private static func permissions(_ value: YAMLValue) throws(ConfigurationError) -> Set<Permission> {
        var permissions: Set<Permission> = []
        for word in try value.texts() {
            guard let permission = Permission(rawValue: word) else {
                let known = Permission.allCases.map(\.rawValue).joined(separator: ", ")
                throw value.error("\(word) is no permission; known are \(known)")
            }
            permissions.insert(permission)
        }
        return permissions
    }

    private mutating func readAgent(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        agentIntervalMilliseconds = try ConfigurationFile.interval(mapping.optional("interval"))
        if let socket = mapping.optional("docker") {
            guard let path = AgentOptions.engineSocket(try socket.text()) else {
                throw socket.error("\(try socket.text()) is no unix socket; write unix:///PATH")
            }
            agentDocker = path
        }
        agentActions = try mapping.text("actions")
        agentTextfiles = try mapping.text("textfiles")
        if let share = mapping.optional("cpu_limit") {
            agentLimits.processorShare = try share.number()
            guard agentLimits.processorShare >= 0, agentLimits.processorShare <= 1_024 else {
                throw share.error("cpu_limit is in processors, such as 0.1; 0 is no limit")
            }
        }
        if let size = mapping.optional("memory_limit") { agentLimits.memoryBytes = UInt64(max(0, try size.byteSize())) }
        if let section = mapping.optional("kubernetes") {
            agentKubernetes = try AgentKubernetesConfiguration.settings(section)
        }
        if let section = mapping.optional("logs") { agentLogs = try AgentLogConfiguration.settings(section) }
        try mapping.finish()
    }

    private mutating func readRetention(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        retentionMetricsMilliseconds = try ConfigurationFile.retention(mapping.optional("metrics"))
        retentionLogsMilliseconds = try ConfigurationFile.retention(mapping.optional("logs"))
        try limits.readSizes(&mapping)
        try mapping.finish()
    }

    /// The shortest time in which something is done again and again.
    static let intervalMillisecondsMinimum: Int64 = 100

    /// How often something is done, or how long it may take.
    private static func interval(_ value: YAMLValue?) throws(ConfigurationError) -> Int64? {
        guard let value else { return nil }
        let milliseconds = try value.durationMilliseconds()
        guard milliseconds >= intervalMillisecondsMinimum else { throw value.error("too short: 100ms is the least") }
        return milliseconds
    }

    /// A duration, or 0 for ever.
    private static func retention(_ value: YAMLValue?) throws(ConfigurationError) -> Int64? {
        guard let value else { return nil }
        if try value.text() == "0" { return 0 }
        return try value.durationMilliseconds()
    }
}
