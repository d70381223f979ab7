internal import Synchronization
internal import Telemetry
package import Transport
internal import Wire

/// The server: one listener, one route table, the threads that queries run on, and the watch over memory.
package final class APIServer: Sendable {
    /// The address bound, as clients write it behind "http://".
    package var address: String { listener.address }
    /// The port bound.
    package var port: Int { listener.port }

    private let dependencies: ServerDependencies
    private let listener: HTTPListener
    private let parts: Parts

    /// What requests share.
    private struct Parts: Sendable {
        let queries: QueryPool
        let maintenance: QueryPool
        let runner: QueryRunner
        let memory: MemoryGuard
        let connections = ConnectionGauge()
        let polls = LongPolls()
        /// Log queries that are followed.
        let tails = LongPolls()
        let stop = StopSignal()
    }

    private init(_ dependencies: ServerDependencies, _ listener: HTTPListener, _ parts: Parts) {
        self.dependencies = dependencies
        self.listener = listener
        self.parts = parts
    }

    /// Binds and serves. Throws `ListenerFailure`.
    package static func start(
        _ dependencies: ServerDependencies, listen options: HTTPListener.Options
    ) async throws -> APIServer {
        let metrics = ServerMetrics()
        let stores = [dependencies.metricAdministration, dependencies.logAdministration]
        let dictionaries = SeriesDictionaries(bytesMaximum: dependencies.options.dictionaryBytesMaximum)
        let series = SeriesMemory(seriesMaximum: max(10_000, dependencies.options.dictionaryBytesMaximum / 512))
        var holders: [@Sendable (Int) -> Int] = stores.map { store in { @Sendable in store.releaseMemory(bytes: $0) } }
        holders.append { dictionaries.releaseMemory(bytes: $0) }
        // About what a series costs there.
        holders.append { _ in series.removeAll() * 512 }
        let memory = MemoryGuard(cap: dependencies.options.memoryBytesMaximum, holders: holders)
        let queries = QueryPool(
            name: "query", threads: dependencies.options.queryConcurrency,
            waitingBytesMaximum: dependencies.options.queriesWaitingBytesMaximum)
        let runner = QueryRunner(dependencies, pool: queries, memory: memory, metrics: metrics)
        let parts = Parts(
            queries: queries, maintenance: QueryPool(name: "maintenance", threads: 1, waitingBytesMaximum: 64 << 10),
            runner: runner, memory: memory)
        let table = table(dependencies, parts, metrics, dictionaries, series)
        let index = RouteTable.index(of: table.routes, version: dependencies.build.version)
        let routes = table.routes + [Route("GET", "/", .read, wording: .text) { _ in .text(200, index) }]
        let router = Router(
            routes: routes, policy: { AccessPolicy(tokens: dependencies.tokens()) },
            enrolment: dependencies.enrolment, crossOrigin: CrossOrigin(allowed: dependencies.options.crossOrigin),
            metrics: metrics,
            clock: dependencies.monotonicClock, log: dependencies.log)
        var options = options
        let quick = Set(routes.filter(\.isQuick).map(\.pattern))
        options.isQuick = { quick.contains($0) }
        do {
            let listener = try await HTTPListener.start(options) { await router.answer($0) }
            parts.connections.watch(listener)
            watchMemory(parts)
            return APIServer(dependencies, listener, parts)
        } catch {
            queries.close()
            runner.close()
            parts.maintenance.close()
            throw error
        }
    }

    private static func table(
        _ dependencies: ServerDependencies, _ parts: Parts, _ metrics: ServerMetrics,
        _ dictionaries: SeriesDictionaries, _ series: SeriesMemory
    ) -> RouteTable {
        let start = dependencies.wallClock.nowMilliseconds
        let memory = parts.memory
        let runner = parts.runner
        let alerts = AlertsAPI(dependencies: dependencies)
        let operations = OperationsAPI(dependencies: dependencies, memory: memory, maintenance: parts.maintenance)
        let loki = LokiRoutes(
            query: LokiQueryAPI(dependencies: dependencies, runner: runner),
            series: LokiSeriesAPI(dependencies: dependencies, runner: runner),
            push: LokiPushAPI(dependencies: dependencies, memory: memory, metrics: metrics),
            tail: LokiTailAPI(dependencies: dependencies, runner: runner, tails: parts.tails),
            volume: LokiVolumeAPI(dependencies: dependencies, runner: runner),
            fields: LokiFieldsAPI(dependencies: dependencies, runner: runner),
            patterns: LokiPatternsAPI(dependencies: dependencies, runner: runner),
            status: LokiStatusAPI(dependencies: dependencies),
            lines: LogLinesAPI(dependencies: dependencies, runner: runner), alerts: alerts, operations: operations)
        return RouteTable(
            query: PrometheusQueryAPI(dependencies: dependencies, runner: runner),
            series: PrometheusSeriesAPI(dependencies: dependencies, runner: runner),
            status: PrometheusStatusAPI(dependencies: dependencies, runner: runner, startMilliseconds: start),
            targets: PrometheusTargetsAPI(dependencies: dependencies),
            targetMetadata: TargetMetadataAPI(dependencies: dependencies, runner: runner),
            exemplars: ExemplarsAPI(dependencies: dependencies, runner: runner),
            federation: FederationAPI(dependencies: dependencies, runner: runner),
            alerts: alerts, silences: SilencesAPI(dependencies: dependencies),
            remedies: RemediesAPI(dependencies: dependencies),
            loki: loki,
            remoteWrite: RemoteWriteAPI(
                dependencies: dependencies, memory: memory, metrics: metrics, series: series),
            remoteRead: RemoteReadAPI(dependencies: dependencies, runner: runner),
            tsdbAdmin: TSDBAdminAPI(dependencies: dependencies, operations: operations),
            ingest: AgentIngestAPI(
                dependencies: dependencies, memory: memory, metrics: metrics,
                dictionaries: dictionaries),
            commands: AgentCommandsAPI(dependencies: dependencies, polls: parts.polls),
            enrolment: EnrolmentAPI(dependencies: dependencies) { [connections = parts.connections] agent in
                connections.cut(ofAgent: agent)
            },
            operations: operations,
            metrics: MetricsPage(
                dependencies: dependencies, metrics: metrics, memory: memory, runner: runner, pool: parts.queries,
                connections: parts.connections, polls: parts.polls, startMilliseconds: start))
    }

    /// Looks at the process' memory twice a second, and more often where there is none left, on a thread of its own:
    /// it must work when nothing else does.
    private static func watchMemory(_ parts: Parts) {
        DedicatedThread.start(name: "memory") {
            repeat {
                parts.memory.look(residentBytes: ProcessUsage.residentBytes)
                if parts.memory.isOver { parts.runner.endLargest() }
            } while !parts.stop.wait(milliseconds: parts.memory.isOver ? 200 : 500)
        }
    }

    /// Shows another certificate to those who connect from now on. Throws `ListenerFailure`: the one before stays.
    package func replaceIdentity(_ identity: TLSServerIdentity) throws(ListenerFailure) {
        try listener.replaceIdentity(identity)
    }

    /// Looks at the process' memory so far, one a second: rises as long as threads of the server get time.
    package var memoryLooks: UInt64 { parts.memory.looks }

    /// Waits until each event loop has done a piece of work.
    package func turnEventLoops() async { await HTTPListener.turnEventLoops() }

    /// Stops accepting, answers what is under way, and after `deadlineMilliseconds` kills queries and cuts
    /// connections.
    package func shutdown(deadlineMilliseconds: Int64) async {
        parts.polls.close()
        parts.tails.close()
        await listener.shutdown(deadlineMilliseconds: deadlineMilliseconds)
        parts.runner.active.killAll()
        parts.stop.stop()
        parts.queries.close()
        parts.runner.close()
        parts.maintenance.close()
        // The stores close next: give what was killed a moment to notice.
        for _ in 0..<100 where parts.queries.load.running + parts.maintenance.load.running > 0 {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// Counts the listener's connections for `/metrics`, whose routes exist before the listener does.
final class ConnectionGauge: Sendable {
    private let listener = Mutex<HTTPListener?>(nil)

    /// The number of open connections.
    var count: Int { listener.withLock { $0 }?.connectionCount ?? 0 }

    /// Cuts those on which `agent` has proved itself.
    func cut(ofAgent agent: String) { listener.withLock { $0 }?.cutConnections(ofAgent: agent) }

    func watch(_ listener: HTTPListener) { self.listener.withLock { $0 = listener } }
}
