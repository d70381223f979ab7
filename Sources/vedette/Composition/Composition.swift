internal import Agent
internal import Alerting
internal import Disk
internal import Logging
internal import Query
internal import Server
internal import ServiceLifecycle
internal import TSDB
internal import Telemetry
internal import Transport
internal import UnixSignals
internal import Wire

/// Puts the rooms together: the only place that names concrete engines. Order of services is order of dependency, so
/// that a stop ends them in reverse and the stores close last.
enum Composition {
    /// A process must be gone after ten seconds; services get nine.
    private static let shutdownSeconds: Int64 = 9

    /// Runs `vedette server`, or `vedette up` when there is a host to watch.
    static func runServer(_ arguments: ServerArguments, host: HostArguments?) async throws {
        let logger = makeLogger()
        let settings = try Settings(arguments)
        let listen = try ListenAddress(arguments.listen)
        for finding in settings.reading.findings {
            logger.error("a rule file is left out until it is mended and reloaded: \(finding)")
        }
        let memoryBytes = try MemoryCap.bytes(
            option: arguments.memory, configured: settings.reading.file.limits.memoryBytes)
        let tls = try TLSFiles.identity(settings.reading.file.tls)
        if let refusal = BindRule.refusal(
            host: listen.host, hasTLS: tls != nil, hasTokens: !settings.reading.tokens.isEmpty,
            isInsecure: arguments.insecure)
        {
            throw CommandFailure(refusal)
        }
        let folder = arguments.data
        let stores = try await BlockingWork.perform {
            try Stores.open(
                folder: folder, memoryBytes: memoryBytes, limits: settings.reading.file.limits,
                retention: settings.retention, logger: logger)
        }
        let client = HTTPClient()
        let agents = KnownAgents()
        let engine = Engine(series: stores.metrics, logs: stores.logs)
        let alerting = try await openAlerting(settings, stores, engine, client, agents, folder, logger)
        let scrapes = scrapeService(settings, stores, logger)
        let reload = Reload(settings: settings, alerting: alerting, scrapes: scrapes, logger: logger)
        var dependencies = ServerDependencies(
            sampleAppender: stores.metrics, seriesSource: stores.metrics, metricAdministration: stores.metrics,
            logAppender: stores.logs, logSource: stores.logs, logAdministration: stores.logs, alerting: alerting,
            agents: agents, wallClock: SystemWallClock(), monotonicClock: SystemMonotonicClock(),
            build: BuildInformation(version: ProductVersion.text, revision: "", compiler: "swift 6"),
            options: serverOptions(arguments, settings, memoryBytes: memoryBytes))
        dependencies.exemplarSource = stores.metrics
        dependencies.tokens = { settings.tokens }
        dependencies.targets = scrapes
        dependencies.bindings = try await bindings(folder, logger)
        dependencies.reload = { try await reload.perform() }
        dependencies.ownMetrics = { settings.metrics }
        dependencies.configuration = { settings.status }
        dependencies.log = { entry in Composition.log(entry, to: logger) }
        let server = try await APIServer.start(
            dependencies, listen: HTTPListener.Options(host: listen.host, port: listen.port, tls: tls))
        try writeAddress(server.address, folder: folder)
        var services: [any Service] = [
            StoresService(stores: stores, logger: logger),
            AlertingRunner(alerting: alerting),
            HousekeepingService(stores: stores, settings: settings, logger: logger),
            IngestWatch(stores: stores, logger: logger),
            ServerRunner(server: server),
            ScrapeRunner(scrapes: scrapes),
            reload,
        ]
        var agent: NodeAgent?
        if let host {
            let endpoint = try OwnEndpoint(listen: listen, port: server.port, tls: tls, settings: settings)
            let own = try makeAgent(
                host, file: settings.reading.file, endpoint: endpoint.endpoint, fields: endpoint.fields,
                tlsProfile: endpoint.tlsProfile, folder: "\(folder)/agent",
                client: HTTPClient(tlsProfiles: endpoint.tlsProfiles), logger: logger)
            agent = own
            services.append(AgentRunner(agent: own))
        }
        services.append(Greeting(address: server.address, folder: folder, isSecure: tls != nil, agent: agent))
        try await run(services, logger)
    }

    private static func scrapeService(_ settings: Settings, _ stores: Stores, _ logger: Logger) -> ScrapeService {
        let scrapes = ScrapeService(
            ScrapeService.Ports(sink: StoreScrapeSink(stores.metrics), storage: SystemStorage()) { notice in
                Composition.log(notice, to: logger)
            })
        scrapes.apply(settings.reading.file.scrapeJobs)
        return scrapes
    }

    /// Runs `vedette agent`.
    static func runAgent(_ command: AgentRunCommand) async throws {
        let logger = makeLogger()
        let endpoint: HTTPEndpoint
        do {
            endpoint = try HTTPEndpoint.parse(command.server)
        } catch {
            throw CommandFailure("--server \(command.server): \(error)")
        }
        let file = try command.config.map(ConfigurationFile.read) ?? ConfigurationFile()
        var fields: [HTTPField] = []
        if let path = command.tokenFile {
            fields.append(HTTPField("Authorization", "Bearer \(try TokenFile.read(path))"))
        }
        let agent = try makeAgent(
            command.host, file: file, endpoint: endpoint, fields: fields, tlsProfile: nil, folder: command.data,
            client: HTTPClient(), scrapeJobs: file.scrapeJobs, isAlone: true, logger: logger)
        Terminal.note("vedette agent \(ProductVersion.text): sending to \(endpoint), data in \(command.data)")
        try await run([AgentRunner(agent: agent)], logger)
    }

    /// Which agent is which, from the data folder.
    private static func bindings(_ folder: String, _ logger: Logger) async throws -> AgentBindings {
        let path = "\(folder)/agents"
        do {
            let bytes = try await BlockingWork.perform {
                try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 64 << 20)
            }
            let bindings = try AgentBindings(bytes) { bytes in
                try await BlockingWork.perform { try AtomicFile.write(bytes, to: path, in: SystemStorage()) }
            }
            for damage in bindings.damage { logger.warning("\(path): \(damage)") }
            return bindings
        } catch {
            throw CommandFailure("\(path) cannot be read: \(error); restore it (docs/formats/agent-bindings.md)")
        }
    }

    private static func openAlerting(
        _ settings: Settings, _ stores: Stores, _ engine: Engine, _ client: HTTPClient, _ agents: KnownAgents,
        _ folder: String, _ logger: Logger
    ) async throws -> AlertingService {
        let configuration = settings.reading.alerting
        do {
            return try await BlockingWork.perform {
                try AlertingService(
                    ports: AlertingPorts(
                        storage: SystemStorage(), folder: "\(folder)/alerting", engine: engine, series: stores.metrics,
                        logs: stores.logs, samples: stores.metrics, lines: stores.logs, http: client,
                        wallClock: SystemWallClock(), monotonicClock: SystemMonotonicClock(),
                        agentForNode: { agents.agent(forNode: $0) },
                        agentHeardAt: { agents.heardAtMilliseconds($0) }, report: { logger.warning("\($0)") }),
                    configuration: configuration)
            }
        } catch {
            throw CommandFailure("the alerting journal in \(folder)/alerting cannot be opened: \(error)")
        }
    }

    private static func serverOptions(
        _ arguments: ServerArguments, _ settings: Settings, memoryBytes: Int
    ) -> ServerOptions {
        let file = settings.reading.file
        var options = ServerOptions(memoryBytesMaximum: memoryBytes)
        if file.queryConcurrency > 0 {
            options = ServerOptions(
                memoryBytesMaximum: memoryBytes, queryConcurrency: Int(file.queryConcurrency))
        }
        options.queryTimeoutMilliseconds = file.queryTimeoutMilliseconds
        let retention = settings.retention
        options.crossOrigin = file.crossOrigin
        options.retentionText = Durations.prometheus(milliseconds: retention.metricsMilliseconds)
        options.flags = [
            "data": arguments.data, "listen": arguments.listen, "rules": arguments.rules ?? "",
            "config": arguments.config ?? "", "memory": ByteSizes.binary(Int64(memoryBytes)),
            "retention-metrics": options.retentionText,
            "retention-logs": Durations.prometheus(milliseconds: retention.logsMilliseconds),
        ]
        return options
    }

    private static func makeAgent(
        _ host: HostArguments, file: ConfigurationFile, endpoint: HTTPEndpoint, fields: [HTTPField],
        tlsProfile: String?, folder: String, client: HTTPClient, scrapeJobs: [ScrapeJob] = [], isAlone: Bool = false,
        logger: Logger
    ) throws -> NodeAgent {
        var options = AgentOptions(server: endpoint, dataFolder: folder, version: ProductVersion.text)
        options.serverFields = fields
        options.tlsProfile = tlsProfile
        options.node = host.node
        options.intervalMilliseconds =
            try host.interval.map { try interval($0) }
            ?? file.agentIntervalMilliseconds ?? options.intervalMilliseconds
        let docker = host.docker ?? file.agentDocker ?? ServerClient.environment("DOCKER_HOST")
        options.engineSocket = AgentOptions.engineSocket(
            environment: docker.map { ["DOCKER_HOST": $0.hasPrefix("/") ? "unix://\($0)" : $0] } ?? [:])
        options.scrapeJobs = scrapeJobs
        options.isAlone = isAlone
        options.textfileFolder = host.textfiles ?? file.agentTextfiles ?? options.textfileFolder
        options.limits = file.agentLimits
        options.actionsFile = host.actions ?? file.agentActions ?? options.actionsFile
        return NodeAgent(options, ports: AgentPorts(http: client, storage: SystemStorage())) { notice in
            Composition.log(notice, to: logger)
        }
    }

    private static func interval(_ text: String) throws -> Int64 {
        let milliseconds = try TimeArgument.duration(text, option: "--interval")
        guard milliseconds >= ConfigurationFile.intervalMillisecondsMinimum else {
            throw CommandFailure("--interval \(text) is too short: 100ms is the least")
        }
        return milliseconds
    }

    private static func writeAddress(_ address: String, folder: String) throws {
        do {
            try AtomicFile.write(Array("\(address)\n".utf8), to: "\(folder)/address", in: SystemStorage())
        } catch {
            throw CommandFailure("the address cannot be written to \(folder)/address: \(error)")
        }
    }

    private static func run(_ services: [any Service], _ logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(shutdownSeconds)
        try await ServiceGroup(configuration: configuration).run()
    }

    private static func makeLogger() -> Logger {
        Logger(label: "vedette") { _ in StandardErrorLogHandler() }
    }

    private static func log(_ notice: AgentNotice, to logger: Logger) {
        switch notice.level {
        case .information: logger.info("agent: \(notice.text)")
        case .warning: logger.warning("agent: \(notice.text)")
        case .error: logger.error("agent: \(notice.text)")
        }
    }

    private static func log(_ entry: ServerLogEntry, to logger: Logger) {
        let level: Logger.Level =
            switch entry.level {
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
        let metadata = Logger.Metadata(uniqueKeysWithValues: entry.fields.map { ($0.name, .string($0.value)) })
        logger.log(level: level, "\(entry.message)", metadata: metadata)
    }
}
