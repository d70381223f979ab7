internal import Agent
internal import Alerting
internal import Disk
internal import Logging
internal import Query
internal import Server
internal import ServiceLifecycle
internal import Synchronization
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
        ProcessMemory.limitArenas()
        let logger = makeLogger()
        let settings = try Settings(arguments)
        let listen = try ListenAddress(arguments.listen)
        for finding in settings.reading.findings {
            logger.error("a rule file is left out until it is mended and reloaded: \(finding)")
        }
        let memoryBytes = try MemoryCap.bytes(
            option: arguments.memory, configured: settings.reading.file.limits.memoryBytes)
        try checkBind(listen, settings, isInsecure: arguments.insecure)
        let folder = arguments.data
        let stores = try await BlockingWork.perform {
            try Stores.open(
                folder: folder, memoryBytes: memoryBytes, limits: settings.reading.file.limits,
                retention: settings.retention, logger: logger)
        }
        let security = try await ListenerSecurity.open(
            settings.reading.file.tls, dataFolder: folder, listenHost: listen.host, logger: logger)
        let client = HTTPClient()
        let agents = KnownAgents()
        let engine = Engine(series: stores.metrics, logs: stores.logs)
        let alerting = try await openAlerting(settings, stores, engine, client, agents, folder, logger)
        let scrapes = scrapeService(settings, stores, logger)
        let reload = Reload(
            settings: settings, alerting: alerting, scrapes: scrapes, certificates: security.certificates,
            logger: logger)
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
        dependencies.enrolment = security.enrolment
        dependencies.reload = { try await reload.perform() }
        dependencies.ownMetrics = { settings.metrics + security.metrics }
        dependencies.configuration = { settings.status }
        dependencies.log = { entry in Composition.log(entry, to: logger) }
        let server = try await APIServer.start(dependencies, listen: security.options(listen))
        security.certificates?.attach(server)
        try writeAddress(server.address, folder: folder)
        var services: [any Service] = [
            StoresService(stores: stores, logger: logger),
            AlertingRunner(alerting: alerting, stores: stores),
            HousekeepingService(stores: stores, settings: settings, logger: logger),
            IngestWatch(stores: stores, logger: logger),
            ServerRunner(server: server),
            ScrapeRunner(scrapes: scrapes),
            reload,
        ]
        if let certificates = security.certificates { services.append(certificates) }
        let agent = try host.map { host in
            let endpoint = try OwnEndpoint(listen: listen, port: server.port, security: security, settings: settings)
            return try makeAgent(
                host, file: settings.reading.file, endpoint: endpoint.endpoint, fields: endpoint.fields,
                tlsProfile: endpoint.tlsProfile, folder: "\(folder)/agent",
                client: HTTPClient(tlsProfiles: endpoint.tlsProfiles), logger: logger)
        }
        if let agent { services.append(AgentRunner(agent: agent)) }
        services += watchdog(server: server, agent: agent, "serving on \(server.address)", logger)
        let place = greetingPlace(listen, port: server.port, settings.reading.file, folder)
        services.append(Greeting(place: place, folder: folder, agent: agent))
        try await run(services, logger)
    }

    /// How a person on this machine asks the server.
    private static func greetingPlace(
        _ listen: ListenAddress, port: Int, _ file: ConfigurationFile, _ folder: String
    ) -> Greeting.Place {
        var place = Greeting.Place(listen: listen, port: port, isSecure: file.tls != nil)
        if let tls = file.tls {
            place.authorityFile = tls.certificateFile == nil ? "\(folder)/enrolment/ca.pem" : tls.authorityFile
        }
        place.tokenFile = file.tokens.first { $0.permissions.contains(.read) }?.file
        return place
    }

    /// Throws where the address may not be listened on as things are.
    private static func checkBind(_ listen: ListenAddress, _ settings: Settings, isInsecure: Bool) throws {
        let refusal = BindRule.refusal(
            host: listen.host, hasTLS: settings.reading.file.tls != nil, hasTokens: !settings.reading.tokens.isEmpty,
            isInsecure: isInsecure)
        if let refusal { throw CommandFailure(refusal) }
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
        ProcessMemory.limitArenas()
        let logger = makeLogger()
        let enrolment = try NodeEnrolment.load(folder: command.data, in: SystemStorage())
        let endpoint = try agentEndpoint(command, enrolment)
        let file = try command.config.map(ConfigurationFile.read) ?? ConfigurationFile()
        var fields: [HTTPField] = []
        if let path = command.tokenFile {
            fields.append(HTTPField("Authorization", "Bearer \(try TokenFile.read(path))"))
        }
        let agent = try makeAgent(
            command.host, file: file, endpoint: endpoint, fields: fields, tlsProfile: nil, folder: command.data,
            client: HTTPClient(), enrolment: enrolment, scrapeJobs: file.scrapeJobs, isAlone: true,
            logger: logger)
        Terminal.note("vedette agent \(ProductVersion.text): sending to \(endpoint), data in \(command.data)")
        ProcessMemory.giveBackCode()
        try await run([AgentRunner(agent: agent)] + watchdog(agent: agent, "sending to \(endpoint)", logger), logger)
    }

    /// Where an agent sends to: what was said, else where it is enrolled. Over plain HTTP only on this machine.
    private static func agentEndpoint(_ command: AgentRunCommand, _ enrolment: NodeEnrolment?) throws -> HTTPEndpoint {
        let endpoint: HTTPEndpoint
        if let text = command.server {
            do {
                endpoint = try HTTPEndpoint.parse(text)
            } catch {
                throw CommandFailure.wrongUsage("--server \(text): \(error)")
            }
        } else if let enrolment {
            endpoint = enrolment.server
        } else {
            throw CommandFailure(
                "this node is not enrolled (there is no \(command.data)/enrolment): "
                    + "`vedette enroll --server HOST:PORT --token TOKEN --data \(command.data)` does that; "
                    + "or name a server with --server")
        }
        if case .tcp(let host, _) = endpoint.connection,
            let refusal = BindRule.plainRefusal(host: host, isInsecure: command.insecure)
        {
            throw CommandFailure(refusal)
        }
        return endpoint
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
        options.adminAPIEnabled = file.adminAPIEnabled
        options.snapshotFolder = "\(AbsolutePath.of(arguments.data))/snapshots"
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
        tlsProfile: String?, folder: String, client: HTTPClient, enrolment: NodeEnrolment? = nil,
        scrapeJobs: [ScrapeJob] = [], isAlone: Bool = false, logger: Logger
    ) throws -> NodeAgent {
        var options = AgentOptions(server: endpoint, dataFolder: folder, version: ProductVersion.text)
        options.serverFields = fields
        options.tlsProfile = tlsProfile
        options.node = host.node
        options.intervalMilliseconds =
            try host.interval.map { try interval($0) }
            ?? file.agentIntervalMilliseconds ?? options.intervalMilliseconds
        if host.node?.isEmpty == true {
            throw CommandFailure.wrongUsage("--node is empty; leave it out for the host's name")
        }
        options.engineSocket = try engineSocket(host, file, logger)
        options.scrapeJobs = scrapeJobs
        options.isAlone = isAlone
        options.textfileFolder = host.textfiles ?? file.agentTextfiles ?? options.textfileFolder
        options.limits = file.agentLimits
        options.logs = file.agentLogs
        options.kubernetes =
            file.agentKubernetes ?? KubernetesSettings(environment: ServerClient.environment)
        options.actionsFile = host.actions ?? file.agentActions ?? options.actionsFile
        var ports = AgentPorts(http: client, storage: SystemStorage())
        ports.use = { client.replace($0, named: $1) }
        if let enrolment, case .tls = endpoint.connection {
            options.enrolment = enrolment
            options.tlsProfile = NodeAgent.enrolledProfile
            client.replace(enrolment.profile, named: NodeAgent.enrolledProfile)
            ports.adopt = { client.replace($0, named: NodeAgent.enrolledProfile) }
        }
        return NodeAgent(options, ports: ports) { notice in
            Composition.log(notice, to: logger)
        }
    }

    /// The engine's socket: what was said, else what the environment says, else the usual one.
    private static func engineSocket(
        _ host: HostArguments, _ file: ConfigurationFile, _ logger: Logger
    ) throws -> String {
        if let text = host.docker {
            guard let path = AgentOptions.engineSocket(text) else {
                throw CommandFailure.wrongUsage("--docker \(text) is no unix socket; write unix:///PATH")
            }
            return path
        }
        if let path = file.agentDocker { return path }
        guard let text = ServerClient.environment("DOCKER_HOST") else { return AgentOptions.usualEngineSocket }
        if let path = AgentOptions.engineSocket(text) { return path }
        logger.warning(
            """
            agent: $DOCKER_HOST is \(text), and an engine is asked over a unix socket alone: \
            \(AgentOptions.usualEngineSocket) is used; --docker unix:///PATH names another
            """)
        return AgentOptions.usualEngineSocket
    }

    private static func interval(_ text: String) throws -> Int64 {
        let milliseconds = try TimeArgument.duration(text, option: "--interval")
        guard milliseconds >= ConfigurationFile.intervalMillisecondsMinimum else {
            throw CommandFailure.wrongUsage("--interval \(text) is too short: 100ms is the least")
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

    /// What systemd is told, where it asks to be: fed by work of the threads that everything hangs on.
    private static func watchdog(
        server: APIServer? = nil, agent: NodeAgent?, _ status: String, _ logger: Logger
    ) -> [any Service] {
        guard let notifier = SystemdNotifier(environment: ServerClient.environment) else { return [] }
        var heartbeats: [Heartbeat] = []
        if let server {
            let turns = Turns()
            heartbeats.append(Heartbeat(name: "the server's memory watch") { server.memoryLooks })
            heartbeats.append(
                Heartbeat(name: "the event loops") {
                    // A loop that hangs must not hang the watchdog.
                    Task {
                        await server.turnEventLoops()
                        turns.count.add(1, ordering: .relaxed)
                    }
                    return turns.count.load(ordering: .relaxed)
                })
        }
        if let agent {
            heartbeats.append(Heartbeat(name: "collection") { agent.progress.collectionTicks })
            heartbeats.append(Heartbeat(name: "reading of logs") { agent.progress.tailRounds })
            heartbeats.append(Heartbeat(name: "writing of the spool") { agent.progress.waitingTicket })
        }
        return [
            Watchdog(
                notifier: notifier, heartbeats: heartbeats, status: status, clock: SystemMonotonicClock(),
                logger: logger)
        ]
    }

    /// How often the event loops have turned.
    private final class Turns: Sendable {
        let count = Atomic<UInt64>(0)
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
