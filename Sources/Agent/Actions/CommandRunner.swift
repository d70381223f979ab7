internal import Disk
internal import Synchronization
internal import Telemetry
internal import Wire

/// Asks the server for commands, has the host's allow-list decide, does what is allowed, and reports.
final class CommandRunner: Sendable {
    /// What the runner is made from.
    struct Setting: Sendable {
        var link: ServerLink
        var engine: DockerEngine
        var registry: ContainerRegistry
        var policy: ActionPolicyFile
        var storage: any FileStorage
        var ledgerPath: String
        var wallClock: any WallClock
        var monotonicClock: any MonotonicClock = SystemMonotonicClock()
        var notices: Notices
        /// Does blocking work on a thread that may wait for the disk.
        var disk: DiskWork
        var tell: @Sendable ([HostEvent]) -> Void
    }

    private struct State: Sendable {
        var ledger = CommandLedger()
        /// Set when the ledger could not be read or written: then nothing is done at all.
        var isBroken: String?
    }

    private let setting: Setting
    private let state = Mutex(State())
    /// Wakes the reporter.
    private let kicks: AsyncStream<Void>
    private let kick: AsyncStream<Void>.Continuation

    /// A runner; `run` does everything.
    init(_ setting: Setting) {
        self.setting = setting
        (kicks, kick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Runs until its task is cancelled.
    func run() async {
        let interrupted = await load()
        await sayWhatIsAllowed()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.report() }
            for entry in interrupted { group.addTask { await self.findOut(entry) } }
            await ask()
            group.cancelAll()
            kick.finish()
        }
    }

    /// Reads the ledger; returns the commands that the last run began and did not end.
    private func load() async -> [CommandLedger.Entry] {
        let setting = setting
        let loaded: Result<CommandLedger, any Error> = await setting.disk.perform {
            Result {
                let bytes = try AtomicFile.read(setting.ledgerPath, in: setting.storage, maximumBytes: 64 << 20)
                return try bytes.map { try CommandLedger(decoding: $0) } ?? CommandLedger()
            }
        }
        let broken: String? = state.withLock { state in
            switch loaded {
            case .success(let ledger):
                state.ledger = ledger
            case .failure(let error):
                state.isBroken = "the command ledger \(setting.ledgerPath) cannot be read (\(error))"
            }
            return state.isBroken
        }
        if let broken {
            setting.notices.say(
                .error, about: setting.ledgerPath,
                "\(broken); nothing is done until it is restored or removed, because a command could be done twice")
        }
        kick.yield()
        return state.withLock { $0.ledger.interrupted }
    }

    private func ask() async {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    let commands = try await setting.link.commands()
                    backoff.reset()
                    setting.notices.settle("commands")
                    for command in commands { group.addTask { await self.handle(command) } }
                    // A server that answers at once with nothing must not be asked in a tight loop.
                    if commands.isEmpty { try? await Task.sleep(for: .milliseconds(100)) }
                } catch {
                    if !Task.isCancelled {
                        setting.notices.say(.warning, about: "commands", "the server gives no commands: \(error)")
                    }
                    try? await Task.sleep(for: .milliseconds(backoff.next(using: &generator)))
                }
            }
        }
    }

    /// Decides about one command and does it.
    func handle(_ command: AgentCommand) async {
        let registry = setting.registry
        // The server may send at once, to an agent that has just begun, what it sent before.
        await registry.awaitWord(
            about: ContainerPath.identifier(in: command.target) ?? command.target, clock: setting.monotonicClock)
        let policy = await allowed()
        let now = setting.wallClock.nowNanoseconds
        let decision: CommandDecision? = state.withLock { state in
            if let known = state.ledger.entry(command.id) {
                // It came again: the server may not have the report.
                if let report = known.report { state.ledger.finish(report) }
                return nil
            }
            var decision = CommandDecision.decide(
                command, policy: policy.value, ledger: state.ledger, container: { registry.container($0) },
                atNanoseconds: now)
            if let reason = state.isBroken ?? policy.failure {
                decision = .refuse(reason: reason, target: command.target)
            }
            switch decision {
            case .perform(_, let container):
                state.ledger.begin(command, target: container.id, atNanoseconds: now, refusal: nil)
            case .refuse(let reason, let target):
                let refusal = CommandReport(id: command.id, outcome: .refused, reason: reason, nanoseconds: now)
                state.ledger.begin(command, target: target, atNanoseconds: now, refusal: refusal)
            }
            return decision
        }
        guard let decision else {
            kick.yield()
            return
        }
        let isKept = await keep()
        switch decision {
        case .refuse(let reason, let target):
            tell(command, registry.container(target), outcome: .refused, reason, .empty)
        case .perform(let action, let container):
            guard isKept else {
                finish(command, container, .failed, "the command ledger cannot be written, so nothing is done", .empty)
                break
            }
            await perform(action, command, container)
        }
        kick.yield()
    }

    private func perform(_ action: any Action, _ command: AgentCommand, _ container: Container) async {
        let started = CommandReport(
            id: command.id, outcome: .started, reason: "", nanoseconds: setting.wallClock.nowNanoseconds)
        // Only news: the outcome is what must arrive. The action does not wait for it.
        let link = setting.link
        let news = Task { try? await link.report([started]) }
        do {
            let facts = try await action.perform(with: setting.engine)
            _ = await news.value
            finish(command, container, .done, "", facts)
        } catch let failure as ActionFailure {
            _ = await news.value
            finish(command, container, .failed, failure.description, failure.facts)
        } catch {
            _ = await news.value
            finish(command, container, .failed, "\(error)", .empty)
        }
        _ = await keep()
    }

    /// Finds out what became of a command that was under way when the agent ended, by the state of its target, and says
    /// so. Nothing is done.
    func findOut(_ entry: CommandLedger.Entry) async {
        let command = AgentCommand(
            id: entry.id, action: entry.action, target: entry.target, expiresNanoseconds: entry.expiresNanoseconds)
        let start = setting.monotonicClock.nowNanoseconds
        var container = setting.registry.container(entry.target) ?? Container(id: entry.target)
        while !Task.isCancelled {
            let waited = setting.monotonicClock.nowNanoseconds - start
            let state: CommandAftermath
            do {
                let found = try await setting.engine.inspect(entry.target)
                container = found ?? container
                state = Actions.aftermath(of: entry, found)
            } catch {
                state = .pending("the engine does not answer (\(error))", milliseconds: 60_000)
            }
            switch state {
            case .done(let facts):
                finish(command, container, .done, "the agent ended before it could say so", facts)
            case .failed(let reason): finish(command, container, .failed, reason, .empty)
            case .pending(let reason, let milliseconds):
                guard waited > milliseconds * 1_000_000 else {
                    try? await Task.sleep(for: .milliseconds(200))
                    continue
                }
                finish(
                    command, container, .failed,
                    "the agent ended while it was being done, and it is not done again: \(reason)", .empty)
            }
            _ = await keep()
            kick.yield()
            return
        }
    }

    private func finish(
        _ command: AgentCommand, _ container: Container, _ outcome: CommandReport.Outcome, _ reason: String,
        _ facts: Labels
    ) {
        let report = CommandReport(
            id: command.id, outcome: outcome, reason: reason, facts: facts,
            nanoseconds: setting.wallClock.nowNanoseconds)
        state.withLock { $0.ledger.finish(report) }
        tell(command, container, outcome: outcome, reason, facts)
    }

    /// What happened on this host stands in its events too, whoever asked for it.
    private func tell(
        _ command: AgentCommand, _ container: Container?, outcome: CommandReport.Outcome, _ reason: String,
        _ facts: Labels
    ) {
        let link = setting.link
        let subject = container?.identity(node: link.node) ?? Labels(["node": link.node])
        let why = reason.isEmpty ? "" : ": \(reason)"
        let details =
            facts.pairs + [
                ("command", command.id), ("action", command.action), ("outcome", outcome.rawValue), ("reason", reason),
                ("target", command.target),
            ]
        setting.tell([
            HostEvent(
                .action, nanoseconds: setting.wallClock.nowNanoseconds, source: "agent", subject: subject,
                details: Labels(details),
                text: "\(command.action) of \(container?.name ?? command.target): \(outcome.rawValue)\(why)")
        ])
    }

    /// The allow-list as it stands now, read anew for each command so that a change counts at once.
    private func allowed() async -> (value: ActionPolicy, failure: String?) {
        let file = setting.policy
        let result = await setting.disk.perform { Result { try file.load() } }
        switch result {
        case .success(let policy):
            setting.notices.settle(file.path)
            return (policy, nil)
        case .failure(let error):
            setting.notices.say(.error, about: file.path, "\(error); no command is done until that is put right")
            return (.observeOnly, "\(error)")
        }
    }

    /// A mistake in the allow-list is better known at the start than when something is to be healed.
    private func sayWhatIsAllowed() async {
        let policy = await allowed()
        guard policy.failure == nil else { return }
        let actions = Set(policy.value.permissions.map(\.action)).sorted()
        let path = setting.policy.path
        setting.notices.say(
            .information, about: "allow-list",
            actions.isEmpty
                ? "there is no \(path), or it allows nothing: this agent observes only"
                : "\(path) allows \(actions.joined(separator: ", "))")
    }

    /// Writes the ledger down; false when it is not durable.
    private func keep() async -> Bool {
        let setting = setting
        let result: Result<Void, any Error> = await setting.disk.perform {
            Result {
                // Taken on the disk's thread, so that a later state is never overwritten by an earlier one.
                guard let bytes = self.state.withLock({ $0.isBroken == nil ? $0.ledger.encoded : nil }) else { return }
                try AtomicFile.write(bytes, to: setting.ledgerPath, in: setting.storage)
            }
        }
        if case .failure(let error) = result {
            setting.notices.say(
                .error, about: setting.ledgerPath, "\(error); commands are refused until it can be written")
            return false
        }
        setting.notices.settle(setting.ledgerPath)
        return true
    }

    /// Sends reports until the server has them.
    private func report() async {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        for await _ in kicks {
            while !Task.isCancelled {
                let reports = Array(state.withLock { $0.ledger.unreported }.prefix(AgentProtocol.commandsMaximum))
                if reports.isEmpty { break }
                do {
                    try await setting.link.report(reports)
                    backoff.reset()
                    state.withLock { $0.ledger.reported(Set(reports.map(\.id))) }
                    _ = await keep()
                } catch {
                    try? await Task.sleep(for: .milliseconds(backoff.next(using: &generator)))
                }
            }
        }
    }
}
