internal import Disk
internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Wire

/// Watches one host: its own metrics, its containers' metrics, logs and events; carries them to the server, and does
/// what both the server asks and the host's owner allows. Listens on nothing.
///
/// Threads: collection (one readiness loop), tail, spool, and one for small files; everything that waits for a network
/// is asynchronous.
package final class NodeAgent: Sendable {
    let options: AgentOptions
    let ports: AgentPorts
    let notices: Notices
    let registry = ContainerRegistry()
    /// What Kubernetes says of this node; nil where it is not asked.
    let cluster: ClusterView?
    private let counters = EventCounters()
    /// Made once: the descriptors that a service manager passes belong to the process.
    private let keeper = DescriptorKeeper()
    private let isStopped = Atomic<Bool>(false)
    let enrolment: CurrentEnrolment?
    /// What the server said last.
    let serverWord = ServerWord()
    /// How far its threads have come.
    package let progress = AgentProgress()

    /// The name of the TLS profile by which an enrolled agent reaches its server.
    package static let enrolledProfile = "server"

    /// An agent that says what people should know through `notify`.
    package init(
        _ options: AgentOptions, ports: AgentPorts, notify: @escaping @Sendable (AgentNotice) -> Void
    ) {
        self.options = options
        self.ports = ports
        enrolment = options.enrolment.map { CurrentEnrolment($0) }
        cluster =
            options.kubernetes.isOff
            ? nil : ClusterView(clock: { [clock = ports.monotonicClock] in clock.nowNanoseconds })
        notices = Notices(notify)
    }

    /// How many containers run on this host, as far as is known now.
    package var runningContainers: Int {
        registry.snapshot.containers.values.count { $0.isRunning && $0.runtime != .systemd }
    }

    /// Runs until its task is cancelled. Throws when it cannot begin: no identity, or another agent has the data
    /// folder.
    package func run() async throws {
        AgentLimits.raiseDescriptors()
        let host = HostRoot(options.hostRoot)
        let folder = options.dataFolder
        let disk = DiskWork()
        guard let diskThread = AgentThread(name: "agent-files", { disk.run() }) else { throw AgentLimits.noThread }
        let ports = ports
        let opened = await disk.perform {
            Result {
                let identity = try AgentIdentity.load(folder: folder, in: ports.storage)
                let secret = try AgentIdentity.secret(folder: folder, in: ports.storage)
                return (identity, secret, try FileLock("\(folder)/agent.lock", in: ports.storage))
            }
        }
        do {
            let (agent, secret, lock) = try opened.get()
            try await run(
                AgentSession(
                    agent: agent, secret: secret, node: options.node ?? AgentIdentity.nodeName(of: host), host: host),
                disk)
            _ = lock
        } catch {
            disk.close()
            await diskThread.ended()
            throw error
        }
        disk.close()
        await diskThread.ended()
    }

    private func run(_ session: AgentSession, _ disk: DiskWork) async throws {
        let spool = Spool(
            Spool.Setting(
                folder: "\(options.dataFolder)/spool", storage: ports.storage,
                policy: SpoolPolicy(bytesMaximum: options.spoolBytesMaximum), wallClock: ports.wallClock,
                notices: notices))
        let link = try serverLink(session)
        let tail = TailThread()
        spool.whenSettled { tail.settled($0) }
        spool.whenAccepting { tail.roomCame() }
        progress.watch(spool)
        let loopWaker = Waker()
        let hub = EventHub(
            wallClock: ports.wallClock, monotonicClock: ports.monotonicClock, wake: { loopWaker.wake() },
            lastWords: { $1 ? tail.containerEnded($0) : tail.hurry($0) })
        observeRegistry(session, spool, tail, loopWaker)
        let threads = try await startThreads(session, spool, tail, hub, loopWaker, disk)
        await communicate(session, spool, link, hub, disk)
        isStopped.store(true, ordering: .sequentiallyConsistent)
        loopWaker.wake()
        tail.stop()
        await threads.collection.ended()
        await threads.tail.ended()
        spool.close()
        await threads.spool.ended()
    }

    private struct Threads {
        var spool: AgentThread
        var collection: AgentThread
        var tail: AgentThread
    }

    private func startThreads(
        _ session: AgentSession, _ spool: Spool, _ tail: TailThread, _ hub: EventHub, _ loopWaker: Waker,
        _ disk: DiskWork
    ) async throws -> Threads {
        let notices = notices
        let opening = Mutex<CheckedContinuation<Void, any Error>?>(nil)
        let started = Mutex<AgentThread?>(nil)
        try await withCheckedThrowingContinuation { continuation in
            opening.withLock { $0 = continuation }
            let thread = AgentThread(name: "agent-spool") {
                let worker = Result { try SpoolWorker(spool) }
                opening.withLock { $0 }?.resume(with: worker.map { _ in })
                if case .success(let worker) = worker { worker.run() }
            }
            started.withLock { $0 = thread }
            if thread == nil { continuation.resume(throwing: AgentLimits.noThread) }
        }
        let incidents = await incidents(disk)
        let collectionSetting = collectionSetting(
            session, spool, tail, hub, loopWaker, incidents, report: statusReport(session, disk))
        let collection = AgentThread(name: "agent-collect") { [isStopped = IsStopped(self)] in
            guard let loop = CollectionLoop(collectionSetting) else {
                notices.say(.error, about: "epoll", "the kernel gives no readiness queue: no metrics and no events")
                return
            }
            loop.run { isStopped.value }
        }
        let tailSetting = tailSetting(session, spool, tail.waker)
        let ports = ports
        let files = engineFiles(session)
        let tailThread = AgentThread(name: "agent-tail") {
            tail.run(
                tailSetting, monotonicClock: ports.monotonicClock, wallClock: ports.wallClock,
                everyFewSeconds: files)
        }
        guard let spoolThread = started.withLock({ $0 }), let collection, let tailThread else {
            spool.close()
            throw AgentLimits.noThread
        }
        return Threads(spool: spoolThread, collection: collection, tail: tailThread)
    }

    /// Everything that waits for a network, until the task is cancelled.
    private func communicate(
        _ session: AgentSession, _ spool: Spool, _ link: ServerLink, _ hub: EventHub, _ disk: DiskWork
    ) async {
        let engine = DockerEngine(socket: options.engineSocket, http: ports.http)
        let files = DockerFiles(host: session.host, notices: notices)
        let watch = EngineWatch(
            engine: engine, registry: registry, clock: ports.monotonicClock, notices: notices,
            readFile: { [registry] id in
                guard let folder = registry.engineDataFolder else { return nil }
                return await disk.perform { files.container(id, in: folder) }
            },
            onEvent: { [registry, clock = ports.wallClock] event in
                hub.saw(event)
                if let container = registry.container(event.container), event.isUnhealthy {
                    spool.submit([container.event(.unhealthy, clock.nowNanoseconds, session.node, "is unhealthy")])
                }
            })
        let runner = CommandRunner(
            CommandRunner.Setting(
                link: link, engine: engine, registry: registry, policy: ActionPolicyFile(path: options.actionsFile),
                storage: ports.storage, ledgerPath: "\(options.dataFolder)/commands", wallClock: ports.wallClock,
                monotonicClock: ports.monotonicClock, notices: notices, disk: disk, tell: { spool.submit($0) }))
        let forwarder = Forwarder(spool: spool, link: link, notices: notices, word: serverWord)
        let scrapes = ScrapeService(
            ScrapeService.Ports(
                sink: SpoolScrapeSink(spool: spool), storage: ports.storage, wallClock: ports.wallClock,
                monotonicClock: ports.monotonicClock, notify: notices.deliver))
        scrapes.apply(options.scrapeJobs)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await watch.run() }
            group.addTask { await forwarder.run() }
            group.addTask { await runner.run() }
            if !options.scrapeJobs.isEmpty { group.addTask { await scrapes.run() } }
            for work in self.kubernetesWork(session, disk) { group.addTask { await work() } }
            if let enrolment { group.addTask { await self.renewal(of: enrolment, disk).run() } }
        }
    }
}

extension NodeAgent {
    private func collectionSetting(
        _ session: AgentSession, _ spool: Spool, _ tail: TailThread, _ hub: EventHub, _ waker: Waker,
        _ incidents: IncidentKeeper.Setting, report: @escaping @Sendable (AgentStatistics) -> Void
    ) -> CollectionLoop.Setting {
        CollectionLoop.Setting(
            host: session.host, node: session.node, intervalMilliseconds: options.intervalMilliseconds,
            registry: registry, counters: counters, hub: hub, waker: waker, notices: notices,
            wallClock: ports.wallClock, monotonicClock: ports.monotonicClock,
            statistics: { [progress] in
                progress.collected()
                let usage = AgentLimits.usage()
                return AgentStatistics(
                    spool: spool.statistics, tail: tail.statistics, cpuSeconds: usage.cpuSeconds,
                    residentBytes: usage.residentBytes)
            },
            deliver: { spool.submit($0, isUrgent: $1) }, tell: { spool.submit($0) }, incidents: incidents,
            limits: options.limits, scope: options.isAlone ? .process : .thread,
            textfileFolder: options.textfileFolder, cluster: cluster, report: report)
    }

    /// What earlier runs counted and told, and how this one keeps it.
    private func incidents(_ disk: DiskWork) async -> IncidentKeeper.Setting {
        let (path, storage, notices) = ("\(options.dataFolder)/incidents", ports.storage, notices)
        let read: Result<IncidentMemory?, any Error> = await disk.perform {
            Result {
                try AtomicFile.read(path, in: storage, maximumBytes: 64 << 20).map { try IncidentMemory(decoding: $0) }
            }
        }
        var memory = IncidentMemory()
        switch read {
        case .success(let known): memory = known ?? memory
        case .failure(let error):
            notices.say(
                .error, about: path,
                "\(path) cannot be read (\(error)): what happened while no agent ran is not told; counters begin at 0")
        }
        counters.restore(memory)
        return IncidentKeeper.Setting(memory: memory) { memory, whenDone in
            disk.submit {
                do {
                    try AtomicFile.write(memory.encoded, to: path, in: storage)
                    notices.settle(path)
                } catch {
                    notices.say(
                        .error, about: path,
                        "\(path) cannot be written (\(error)); after a crash an incident may be told twice")
                }
                whenDone()
            }
        }
    }

    private func tailSetting(_ session: AgentSession, _ spool: Spool, _ waker: Waker) -> LogTailer.Setting {
        LogTailer.Setting(
            registry: registry, host: session.host, node: session.node, agent: session.agent, sink: spool,
            storage: ports.storage, positionsPath: "\(options.dataFolder)/positions", notices: notices,
            settings: options.logs, keeper: keeper,
            engine: DockerEngine(socket: options.engineSocket, http: ports.http), waker: waker,
            firstStartBytes: options.firstStartLogBytes, wallNanoseconds: ports.wallClock.nowNanoseconds)
    }

    /// Reads the engine's own files while the engine does not answer.
    private func engineFiles(_ session: AgentSession) -> @Sendable (Int64) -> Void {
        let files = DockerFiles(host: session.host, notices: notices)
        let (registry, folder) = (registry, options.engineDataFolder)
        return { [progress] now in
            progress.tailed()
            registry.refresh(atNanoseconds: now)
            guard !registry.isEngineAnswering(atNanoseconds: now),
                let found = files.containers(in: registry.engineDataFolder ?? folder)
            else { return }
            registry.setFiles(found, atNanoseconds: now)
        }
    }

    /// Tells of containers that came and went, and lets the threads look; starts are counted by the collection thread.
    private func observeRegistry(_ session: AgentSession, _ spool: Spool, _ tail: TailThread, _ waker: Waker) {
        let (clock, node) = (ports.wallClock, session.node)
        registry.onChange { difference in
            var events: [HostEvent] = []
            for container in difference.appeared where container.runtime != .systemd {
                events.append(container.event(.discovered, clock.nowNanoseconds, node, "is known to the agent"))
            }
            for container in difference.vanished where container.runtime != .systemd {
                events.append(container.event(.vanished, clock.nowNanoseconds, node, "was removed"))
            }
            spool.submit(events)
            waker.wake()
            tail.waker.wake()
        }
    }

    /// Lets a thread ask whether the agent is to stop without keeping more than that.
    private struct IsStopped: Sendable {
        private let agent: NodeAgent

        init(_ agent: NodeAgent) {
            self.agent = agent
        }

        var value: Bool { agent.isStopped.load(ordering: .sequentiallyConsistent) }
    }
}

/// Who and where one run of an agent is.
struct AgentSession: Sendable {
    var agent: String
    var secret: String
    var node: String
    var host: HostRoot
}

extension Container {
    /// An event about the container that needs no more words than `what`.
    fileprivate func event(_ kind: HostEvent.Kind, _ now: Int64, _ node: String, _ what: String) -> HostEvent {
        HostEvent(
            kind, nanoseconds: now, source: "agent", subject: identity(node: node), text: "\(noun) \(name) \(what)")
    }
}
