package import Disk
package import Telemetry
package import Transport
package import Wire

/// What an agent is told when it is started.
package struct AgentOptions: Sendable {
    /// Where the server is.
    package var server: HTTPEndpoint
    /// Sent with every call, for example `Authorization: Bearer …`.
    package var serverFields: [HTTPField] = []
    /// The name of a TLS profile of the sender; nil for the default trust.
    package var tlsProfile: String?
    /// What the node has from its enrolment; nil when it has none.
    package var enrolment: NodeEnrolment?
    /// The folder for identity, spool, positions and ledgers.
    package var dataFolder: String
    /// The folder that holds the host's files: "/" but in tests.
    package var hostRoot = "/"
    /// The `node` label; nil for the host's name.
    package var node: String?
    package var version: String
    package var intervalMilliseconds: Int64 = 1_000
    /// The path of the engine's socket.
    package var engineSocket = AgentOptions.usualEngineSocket
    /// Where the engine keeps its containers while it cannot be asked.
    package var engineDataFolder = "/var/lib/docker"
    /// The allow-list of actions.
    package var actionsFile = "/etc/vedette/actions.yml"
    /// What the spool may take on the disk.
    package var spoolBytesMaximum: UInt64 = 1 << 30
    /// What is scraped from here, through the spool.
    package var scrapeJobs: [ScrapeJob] = []
    /// What the agent may take of its host; beyond it metrics are read less often.
    package var limits = SelfLimits()
    /// Whether the process is the agent's alone, rather than a server's, too.
    package var isAlone = false
    /// The folder of other programs' metrics (`*.prom`).
    package var textfileFolder = "/var/lib/prometheus/node-exporter"
    /// Which logs are followed beside those of the engine's containers.
    package var logs = LogSettings()
    /// Where Kubernetes is asked about this node's pods.
    package var kubernetes = KubernetesSettings()
    /// How much of each log that was there before the agent's first start is read.
    package var firstStartLogBytes: UInt64 = 1 << 20

    /// Options with their defaults.
    package init(server: HTTPEndpoint, dataFolder: String, version: String) {
        self.server = server
        self.dataFolder = dataFolder
        self.version = version
    }

    /// Where an engine listens when nobody says otherwise.
    package static let usualEngineSocket = "/var/run/docker.sock"

    /// The path of a socket as it is written, `unix:///PATH` or `/PATH`; nil for anything else.
    package static func engineSocket(_ text: String) -> String? {
        let path = text.hasPrefix("unix://") ? String(text.dropFirst("unix://".count)) : text
        return path.hasPrefix("/") ? path : nil
    }
}

/// The ports an agent works through.
package struct AgentPorts: Sendable {
    package var http: any HTTPSending
    package var storage: any FileStorage
    package var wallClock: any WallClock
    package var monotonicClock: any MonotonicClock
    /// Makes `http` use another certificate under the name `NodeAgent.enrolledProfile`.
    package var adopt: @Sendable (TLSProfile) -> Void = { _ in }
    /// Makes `http` use a certificate and authorities under a name.
    package var use: @Sendable (TLSProfile, _ name: String) -> Void = { _, _ in }

    /// Ports; the clocks are the system's unless a test gives its own.
    package init(
        http: any HTTPSending, storage: any FileStorage, wallClock: any WallClock = SystemWallClock(),
        monotonicClock: any MonotonicClock = SystemMonotonicClock()
    ) {
        self.http = http
        self.storage = storage
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock
    }
}
