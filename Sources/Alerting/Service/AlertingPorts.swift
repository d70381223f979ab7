package import Disk
package import Query
package import Telemetry
package import Wire

/// What alerting stands on: stores, network, clocks, and what only the server knows about agents.
package struct AlertingPorts: Sendable {
    package var storage: any FileStorage
    /// A folder of alerting's own, made when absent: journal, audit log, evidence.
    package var folder: String
    package var engine: Engine
    package var series: any SeriesSource
    package var logs: (any LogSource)?
    package var samples: any SampleAppender
    package var lines: any LogAppender
    package var http: any HTTPSending
    package var wallClock: any WallClock
    package var monotonicClock: any MonotonicClock
    /// The agent that runs on a node (the label `node`), nil when none is known.
    package var agentForNode: @Sendable (_ node: String) -> String?
    /// When an agent was last heard from, in milliseconds since 1970; nil when never.
    package var agentHeardAt: @Sendable (_ agent: String) -> Int64?
    /// Takes a sentence for the operator: what happened, what was kept, what to do.
    package var report: @Sendable (String) -> Void

    /// The ports.
    package init(
        storage: any FileStorage, folder: String, engine: Engine, series: any SeriesSource, logs: (any LogSource)?,
        samples: any SampleAppender, lines: any LogAppender, http: any HTTPSending, wallClock: any WallClock,
        monotonicClock: any MonotonicClock, agentForNode: @escaping @Sendable (String) -> String?,
        agentHeardAt: @escaping @Sendable (String) -> Int64?, report: @escaping @Sendable (String) -> Void
    ) {
        self.storage = storage
        self.folder = folder
        self.engine = engine
        self.series = series
        self.logs = logs
        self.samples = samples
        self.lines = lines
        self.http = http
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock
        self.agentForNode = agentForNode
        self.agentHeardAt = agentHeardAt
        self.report = report
    }
}
