internal import Disk
internal import Query
internal import Synchronization
package import Telemetry
package import Wire

/// Rules, notifications and remedies as one service. Open it on a thread that may wait for disk, run it until
/// cancelled.
///
/// All decisions are taken by `AlertingCore` under one lock and become journal entries; what follows from a decision (a
/// message, a command) is done only after the journal has it. The loops look at the state for work, so going on after a
/// crash is the same as going on.
package final class AlertingService: Sendable {
    struct Guarded {
        var core: AlertingCore
        var schedule = RuleSchedule()
        var series = RuleSeries()
        var statuses: [String: EvaluationStatus] = [:]
        var groupStatuses: [String: GroupEvaluationStatus] = [:]
        /// Rules that events have woken, and whose groups are still to be evaluated.
        var woken: Set<String> = []
        /// The selectors of every alert rule, for `wake`.
        var selectors: [RuleSelectors] = []
        /// Why decisions do not become durable; nil while they do.
        var journalFault: String?
        /// Why records do not reach the audit log; nil while they do.
        var auditFault: String?
        var isCompacting = false
        /// Entries that the journal refused: the next snapshot holds what they did.
        var lost: [JournalEntry] = []
    }

    /// What an expression looks at.
    struct RuleSelectors: Sendable {
        var rule: String
        var group: String
        var selectors: [[LabelMatcher]]
    }

    let ports: AlertingPorts
    let journal: any DecisionJournal
    let auditLog: AuditLog
    let threads: EvaluationThreads
    let guarded: Mutex<Guarded>
    let scheduleSignal = WakeSignal()
    let deliverySignal = WakeSignal()
    let remedySignal = WakeSignal()
    let recordSignal = WakeSignal()
    let commandSignal = NamedWake()

    /// The journal grows by at most this between two snapshots.
    static let snapshotBytes = 4 << 20

    /// Opens the journal and the audit log below `ports.folder` and takes up where they end. Blocking.
    package convenience init(ports: AlertingPorts, configuration: AlertingConfiguration) throws {
        try ports.storage.makeFolder(ports.folder)
        let (journal, state, faults) = try AlertingJournal.open(storage: ports.storage, folder: ports.folder)
        for fault in faults { ports.report("alerting journal: \(fault)") }
        let auditLog = try AuditLog(
            path: StoragePath.join(ports.folder, "audit.log"), in: ports.storage, anchor: state.auditHead)
        if let recovery = auditLog.recovery { ports.report(recovery) }
        self.init(ports: ports, configuration: configuration, journal: journal, state: state, auditLog: auditLog)
    }

    init(
        ports: AlertingPorts, configuration: AlertingConfiguration, journal: any DecisionJournal, state: AlertingState,
        auditLog: AuditLog
    ) {
        self.ports = ports
        self.journal = journal
        self.auditLog = auditLog
        threads = EvaluationThreads(count: 2)
        let now = ports.wallClock.nowMilliseconds
        let core = AlertingCore(
            state: state, configuration: configuration, installation: AlertingService.newInstallation(), now: now)
        guarded = Mutex(Guarded(core: core))
        // Records that reached the audit log and whose confirmation the journal has lost.
        if auditLog.head.sequence > state.auditHead.sequence {
            mutate { $0.core.record(.auditHead(auditLog.head)) }
        }
        adopt(configuration)
    }

    /// Runs until its task is cancelled, then ends the journal.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.runSchedule() }
            group.addTask { await self.runDeliveries() }
            group.addTask { await self.runRemedies() }
            group.addTask { await self.runRecords() }
            await group.waitForAll()
        }
        if let journal = journal as? AlertingJournal { await journal.close() }
    }

    /// Takes over rules, remedies and receivers. Alerts keep their state by the identity of their rule.
    package func reload(_ configuration: AlertingConfiguration) {
        mutate { $0.core.adopt(configuration, now: now) }
        adopt(configuration)
        scheduleSignal.signal()
    }

    /// Event samples of these series have arrived: rules whose selectors match one are evaluated at once.
    package func wake(for labels: [Labels]) {
        let isWoken = guarded.withLock { guarded in
            let rules = guarded.selectors.filter { entry in
                entry.selectors.contains { selector in
                    labels.contains { series in selector.allSatisfy { $0.matches(series) } }
                }
            }
            guarded.woken.formUnion(rules.map(\.rule))
            return !rules.isEmpty
        }
        if isWoken { scheduleSignal.signal() }
    }

    /// Events of hosts: a removed container ends the alerts about it.
    package func observe(_ events: [HostEvent]) {
        let removed = events.filter { $0.kind == .vanished }
        guard !removed.isEmpty else { return }
        mutate { guarded in for event in removed { guarded.core.targetRemoved(event.subject, now: now) } }
    }

    // MARK: Commands

    /// The commands an agent may have now.
    package func pendingCommands(for agent: String) -> [AgentCommand] {
        guarded.withLock { guarded in
            guard guarded.journalFault == nil else { return [] }
            return guarded.core.commands(where: { ports.agentForNode($0) == agent }, now: now)
        }
    }

    /// The commands an agent may have, as soon as there are any; none after `milliseconds` or when cancelled.
    package func waitForCommands(for agent: String, milliseconds: Int64) async -> [AgentCommand] {
        let deadline = ports.monotonicClock.nowNanoseconds + milliseconds * 1_000_000
        commandSignal.attend(agent)
        defer { commandSignal.leave(agent) }
        while !Task.isCancelled {
            let generation = commandSignal.generation(of: agent)
            let commands = pendingCommands(for: agent)
            let rest = (deadline - ports.monotonicClock.nowNanoseconds) / 1_000_000
            if !commands.isEmpty || rest <= 0 { return commands }
            await commandSignal.wait(for: agent, after: generation, milliseconds: rest)
        }
        return []
    }

    /// An agent that had no node until now, or another one, was heard: it may have commands.
    package func wakeForCommands(_ agent: String) { commandSignal.signal([agent]) }

    /// Whether any agent may have a command now; cheap enough to be asked for every batch.
    package var hasCommands: Bool { guarded.withLock { !$0.core.commanded.isEmpty } }

    /// Takes in what an agent did about commands. Returns when that is on disk; throws when it cannot be: the agent
    /// tells it again then.
    package func report(_ reports: [CommandReport], from agent: String) async throws(AppendRefusal) {
        let error: (any Error)? = await withCheckedContinuation { continuation in
            guarded.withLock { guarded in
                let nodes = reports.compactMap { guarded.core.nodeAwaiting($0.id) }
                if let node = nodes.first(where: isUnknown) {
                    continuation.resume(returning: UnknownAgent(node: node))
                    return
                }
                for report in reports { takeIn(report, from: agent, &guarded) }
                let entries = guarded.core.takeEntries()
                // A repetition changes nothing, and is answered behind what it repeats all the same.
                journal.submit(entries) { [weak self] error in
                    self?.submitted(entries, error)
                    continuation.resume(returning: error)
                }
            }
        }
        compactIfLarge()
        deliverySignal.signal()
        remedySignal.signal()
        guard let error else { return }
        if error is UnknownAgent { throw AppendRefusal(.unavailable, "\(error)", retryAfterSeconds: 1) }
        throw AppendRefusal(
            .unavailable, "the report is not on disk (\(error)); send it again", retryAfterSeconds: 2)
    }

    /// Nobody has spoken for a node since the server started. A report about it must not be taken for a stranger's:
    /// what it says would be lost, and the action would stay begun.
    private struct UnknownAgent: Error, CustomStringConvertible {
        let node: String

        var description: String { "no agent has spoken for \(node) since the start; send the report again" }
    }

    private func isUnknown(_ node: String) -> Bool { ports.agentForNode(node) == nil }

    /// As `report`, without waiting for the disk, for tests that drive the journal themselves.
    func note(_ report: CommandReport, from agent: String) { mutate { takeIn(report, from: agent, &$0) } }

    private func takeIn(_ report: CommandReport, from agent: String, _ guarded: inout Guarded) {
        guarded.core.report(report, from: agent, where: { ports.agentForNode($0) == agent }, now: now)
    }

    // MARK: Requests of people

    /// Makes or changes a silence; returns its id. Throws what is wrong with the request.
    package func setSilence(_ request: SilenceRequest) throws(AlertingRequestError) -> String {
        try self.request { (guarded) throws(AlertingRequestError) in try guarded.core.setSilence(request, now: now) }
    }

    /// Ends a silence now.
    package func expireSilence(_ id: String, by person: String) throws(AlertingRequestError) {
        try request { (guarded) throws(AlertingRequestError) in
            try guarded.core.expireSilence(id, by: person, now: now)
        }
    }

    /// Lets an action go on that waits for approval.
    package func approve(_ action: String, by person: String) throws(AlertingRequestError) {
        try request { (guarded) throws(AlertingRequestError) in
            try guarded.core.approve(action, by: person, now: now)
        }
    }

    /// Stops a remedy from acting.
    package func pause(_ remedy: String, by person: String) throws(AlertingRequestError) {
        try request { (guarded) throws(AlertingRequestError) in
            try guarded.core.pause(remedy, isPaused: true, by: person, now: now)
        }
    }

    /// Lets a remedy act again, also on targets it had suspended.
    package func resume(_ remedy: String, by person: String) throws(AlertingRequestError) {
        try request { (guarded) throws(AlertingRequestError) in
            try guarded.core.pause(remedy, isPaused: false, by: person, now: now)
        }
    }

    /// Returns when everything that was decided so far is on disk; throws when it holds in memory alone. Who asked for
    /// something is answered behind this.
    package func settle() async throws(AppendRefusal) {
        let error: (any Error)? = await withCheckedContinuation { continuation in
            // An empty record is answered behind all before it.
            journal.submit([]) { continuation.resume(returning: $0) }
        }
        guard let fault = guarded.withLock({ $0.journalFault }) ?? error.map({ "\($0)" }) else { return }
        throw AppendRefusal(
            .unavailable,
            "done, but only until the next start: the alerting journal takes nothing (\(fault)). It is written when it "
                + "does again; see the log", retryAfterSeconds: 5)
    }

    // MARK: The lock and the journal

    var now: Int64 { ports.wallClock.nowMilliseconds }

    /// Changes the state and hands what was decided to the journal, in this order and under one lock, so that the
    /// journal has decisions in the order they were taken.
    @discardableResult
    func mutate<Value>(_ body: (inout Guarded) throws -> sending Value) rethrows -> sending Value {
        var notices: [String] = []
        let value = try guarded.withLock { guarded in
            let value = try body(&guarded)
            submit(guarded.core.takeEntries())
            notices = guarded.core.takeNotices()
            return value
        }
        for notice in notices { ports.report(notice) }
        compactIfLarge()
        deliverySignal.signal()
        remedySignal.signal()
        return value
    }

    private func request<Value: Sendable>(
        _ body: (inout Guarded) throws(AlertingRequestError) -> Value
    ) throws(AlertingRequestError) -> Value {
        let result: Result<Value, AlertingRequestError> = mutate { (guarded: inout Guarded) in
            Result { () throws(AlertingRequestError) in try body(&guarded) }
        }
        return try result.get()
    }

    /// Called with the lock held; the completion takes it later, on the journal's thread.
    func submit(_ entries: [JournalEntry]) {
        guard !entries.isEmpty else { return }
        journal.submit(entries) { [weak self] error in self?.submitted(entries, error) }
    }

    private func submitted(_ entries: [JournalEntry], _ error: (any Error)?) {
        defer { wakeCommanded(entries) }
        let isNewFault = guarded.withLock { guarded -> Bool in
            guard let error else {
                guarded.core.confirm(entries)
                return false
            }
            // People are told all the same; twice is better than never. Nothing is done that is not recorded.
            let messages = entries.filter { if case .intent = $0 { true } else { false } }
            guarded.core.confirm(messages)
            guarded.lost += entries.filter { if case .intent = $0 { false } else { true } }
            defer { guarded.journalFault = "\(error)" }
            return guarded.journalFault == nil
        }
        if isNewFault, let error {
            ports.report(
                "alerting journal: \(error). Alerts are still told, remedies rest; it is tried again every few seconds")
        }
        deliverySignal.signal()
        remedySignal.signal()
        recordSignal.signal()
    }

    /// Wakes the agents whose commands may have become durable with `entries` (nil: all).
    private func wakeCommanded(_ entries: [JournalEntry]?) {
        let mayMatter =
            entries?.contains { entry in
                switch entry {
                case .action(let action): action.state == .commanded
                case .auditHead: true
                default: false
                }
            } ?? true
        guard mayMatter else { return }
        let nodes = guarded.withLock { $0.core.commandedNodes }
        if !nodes.isEmpty { commandSignal.signal(nodes.compactMap { ports.agentForNode($0) }) }
    }

    /// Writes a snapshot when the journal has grown, or when it refused entries.
    func compactIfLarge(force: Bool = false) {
        guard force || journal.bytesSinceSnapshot > AlertingService.snapshotBytes else { return }
        guarded.withLock { guarded in
            guard !guarded.isCompacting else { return }
            guarded.isCompacting = true
            submit(guarded.core.takeEntries())
            let lost = guarded.lost
            guarded.lost = []
            journal.compact(guarded.core.state.snapshot) { [weak self] error in self?.compacted(lost, error) }
        }
    }

    private func compacted(_ lost: [JournalEntry], _ error: (any Error)?) {
        let hasRecovered = guarded.withLock { guarded -> Bool in
            guarded.isCompacting = false
            if let error {
                guarded.lost = lost + guarded.lost
                guarded.journalFault = "\(error)"
                return false
            }
            guarded.core.confirm(lost)
            guard guarded.journalFault != nil, guarded.lost.isEmpty else { return false }
            guarded.journalFault = nil
            return true
        }
        if hasRecovered { ports.report("alerting journal: it takes records again, nothing is missing") }
        remedySignal.signal()
        wakeCommanded(nil)
    }

    private func adopt(_ configuration: AlertingConfiguration) {
        var selectors: [RuleSelectors] = []
        for group in configuration.groups {
            for rule in group.rules {
                guard case .alert = rule.kind, let found = try? Engine.selectors(in: rule.expression) else { continue }
                selectors.append(RuleSelectors(rule: rule.identity, group: group.identity, selectors: found))
            }
        }
        let identities = configuration.groups.map { ($0.identity, configuration.interval(of: $0)) }
        let rules = Set(configuration.groups.flatMap { $0.rules.map(\.identity) })
        mutate { guarded in
            guarded.selectors = selectors
            guarded.schedule.update(identities, now: now)
            guarded.statuses = guarded.statuses.filter { rules.contains($0.key) }
        }
    }

    /// 16 random hexadecimal digits.
    private static func newInstallation() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
