internal import Agent
internal import Alerting
internal import Logging
internal import Server
internal import ServiceLifecycle
internal import TSDB
internal import Telemetry
internal import UnixSignals
internal import Wire

/// Runs rules, notifications and remedies until the process stops, from when everything that was acknowledged can be
/// seen: a rule that fails for want of samples would only make noise.
struct AlertingRunner: Service {
    private static let intervalMilliseconds: UInt64 = 50

    let alerting: AlertingService
    let stores: Stores

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled, case .starting = stores.metrics.queryHealth {
                try? await Task.sleep(nanoseconds: AlertingRunner.intervalMilliseconds * 1_000_000)
            }
            await alerting.run()
        }
    }
}

/// Keeps the listener up, then lets what is under way be answered.
struct ServerRunner: Service {
    /// Requests under way get this long.
    private static let drainMilliseconds: Int64 = 5_000

    let server: APIServer

    func run() async throws {
        try? await gracefulShutdown()
        await server.shutdown(deadlineMilliseconds: ServerRunner.drainMilliseconds)
    }
}

/// Runs the agent until the process stops.
struct AgentRunner: Service {
    let agent: NodeAgent

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await agent.run() }
    }
}

/// Scrapes until the process stops.
struct ScrapeRunner: Service {
    let scrapes: ScrapeService

    func run() async throws {
        await cancelWhenGracefulShutdown { await scrapes.run() }
    }
}

/// Reads rules and configuration again on SIGHUP or on request. Anything wrong keeps what was, and says where.
struct Reload: Service {
    let settings: Settings
    let alerting: AlertingService
    let scrapes: ScrapeService
    let certificates: ListenerCertificates?
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in await UnixSignalsSequence(trapping: .sighup) {
                do {
                    try await perform()
                } catch {
                    logger.error("nothing was reloaded, everything stays as it was: \(error)")
                }
            }
        }
    }

    /// Reads again; throws what is wrong.
    func perform() async throws {
        let settings = settings
        let limits = settings.reading.file.limits
        let certificates = certificates
        let reading = try await BlockingWork.perform {
            try settings.reload { file in try certificates?.reload(file.tls) }
        }
        alerting.reload(reading.alerting)
        scrapes.apply(reading.file.scrapeJobs)
        let rules = reading.alerting.groups.reduce(0) { $0 + $1.rules.count }
        logger.info("reloaded: \(rules) rules, \(reading.alerting.remedies.count) remedies")
        guard reading.file.limits != limits else { return }
        logger.warning(
            """
            limits, sizes of retention or logs.redact_numbers changed in the configuration: stores are opened with \
            them, so they take effect at the next start
            """)
    }
}

/// Tells the person at the terminal where things are and what to try.
struct Greeting: Service {
    /// How long the first look around the host may take before the greeting goes out without it.
    private static let patienceMilliseconds: UInt64 = 2_000

    let place: Place
    let folder: String
    let agent: NodeAgent?

    /// How commands on this machine reach the server.
    struct Place: Equatable {
        var listen: ListenAddress
        /// The port that was bound.
        var port: Int
        var isSecure = false
        /// Who vouches for the certificate, where no authority of the system does.
        var authorityFile: String?
        /// A token that may read.
        var tokenFile: String?

        /// The address to ask.
        var url: String {
            let host = listen.localHost
            return HTTPEndpoint(isSecure ? .tls(host: host, port: port) : .tcp(host: host, port: port)).description
        }

        /// The same, for people.
        var words: String { listen.isEverywhere ? "\(url), and all other addresses of this host" : url }

        /// What a command has to be told, with a blank in front.
        var options: String {
            var options = url == "http://127.0.0.1:9797" ? "" : " --server \(url)"
            if let authorityFile { options += " --ca-file \(AbsolutePath.of(authorityFile))" }
            if let tokenFile { options += " --token-file \(AbsolutePath.of(tokenFile))" }
            return options
        }
    }

    func run() async throws {
        if let agent {
            await cancelWhenGracefulShutdown {
                for _ in 0..<20 where agent.runningContainers == 0 {
                    try? await Task.sleep(nanoseconds: Greeting.patienceMilliseconds * 50_000)
                }
            }
        }
        Terminal.write(text)
        ProcessMemory.giveBackCode()
        try? await gracefulShutdown()
    }

    private var text: String {
        // As it was started, and from any folder: after `make run` no `vedette` is in PATH.
        let argument = CommandLine.arguments.first ?? "vedette"
        let program = argument.contains("/") ? AbsolutePath.of(argument) : argument
        var lines = [
            "vedette \(ProductVersion.text)",
            "  address     \(place.words)",
            "  data        \(AbsolutePath.of(folder))",
        ]
        let containers = agent?.runningContainers
        if let containers { lines.append("  containers  \(containers) running on this host") }
        lines += ["", "try:"]
        for (command, arguments) in suggestions(hasContainers: containers != 0) {
            lines.append("  \(program) \(command)\(place.options)\(arguments)")
        }
        lines.append("")
        return lines.joined(separator: "\n")
    }

    /// What shows something here: a server waits for its agents, a host may have no containers.
    private func suggestions(hasContainers: Bool) -> [(command: String, arguments: String)] {
        guard hasContainers else {
            return [
                ("query", " 'node_load1'"), ("query", " --since 5m 'node_memory_MemAvailable_bytes'"), ("alerts", ""),
            ]
        }
        return [
            ("query", " 'node_load1'"),
            ("query", " 'sum by (name) (rate(container_cpu_usage_seconds_total{name!=\"\"}[1m]))'"),
            ("logs search", " --since 5m error"),
        ]
    }
}
