internal import Disk
internal import Query
internal import Synchronization
internal import Telemetry
internal import Wire

/// The loops that tell people, act, and record.
extension AlertingService {
    // MARK: Telling

    func runDeliveries() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for (message, receiver) in takeDueMessages() {
                    group.addTask { await self.attempt(message, receiver) }
                }
                let delay = guarded.withLock { guarded -> Int64 in
                    let times = [guarded.core.groups.nextTime, guarded.core.nextDeliveryTime(now: now)].compactMap {
                        $0
                    }
                    return min(max((times.min() ?? now + 60_000) - now, 1), 60_000)
                }
                await deliverySignal.wait(milliseconds: delay)
            }
        }
    }

    /// Makes the messages that are due and tries those that may be tried now, one after the other.
    func deliverOnce() async {
        for (message, receiver) in takeDueMessages() { await attempt(message, receiver) }
    }

    private func takeDueMessages() -> [(message: OutboxMessage, receiver: any Receiver)] {
        mutateQuietly { guarded in
            guarded.core.flush(now: now)
            guarded.core.forgetSilences(now: now)
            return guarded.core.takeDueMessages(now: now)
        }
    }

    private func attempt(_ message: OutboxMessage, _ receiver: any Receiver) async {
        let verdict: DeliveryVerdict
        do {
            verdict = receiver.verdict(try await ports.http.send(receiver.call(message)))
        } catch let failure as HTTPFailure {
            verdict = .retry(reason: failure.description, afterMilliseconds: nil)
        } catch {
            // Being cancelled is no verdict: the message stays as it was.
            guard !Task.isCancelled else {
                guarded.withLock { _ = $0.core.inFlight.remove(message.idempotencyKey) }
                return
            }
            verdict = .retry(reason: "\(error)", afterMilliseconds: nil)
        }
        mutate { $0.core.attempted(message.idempotencyKey, verdict, now: now) }
    }

    // MARK: Acting

    func runRemedies() async {
        while !Task.isCancelled {
            await actOnce()
            let hasWork = guarded.withLock { guarded in guarded.core.state.actions.values.contains { !$0.state.isEnd } }
            await remedySignal.wait(milliseconds: hasWork ? 1000 : 5000)
        }
    }

    /// Asks the guard-rails, freezes evidence, and lets time pass for actions.
    func actOnce() async {
        let undecided = mutateQuietly { guarded in
            guarded.core.tickActions(now: now)
            return guarded.core.takeUndecided(now: now)
        }
        for record in undecided { await decide(record) }
        for (record, remedy, alert) in guarded.withLock({ $0.core.awaitingEvidence }) {
            await freeze(record, remedy, alert)
        }
        if guarded.withLock({ $0.journalFault != nil }) { compactIfLarge(force: true) }
    }

    private func decide(_ record: ActionRecord) async {
        let (remedy, rule, fault) = guarded.withLock { guarded in
            (
                guarded.core.remedy(record.remedy), guarded.core.rule(record.alert.rule)?.rule,
                guarded.journalFault ?? guarded.auditFault ?? guarded.core.auditBacklog
            )
        }
        guard let remedy else { return }
        let time = now
        let evaluator = EngineEvaluator(engine: ports.engine, series: ports.series, clock: ports.monotonicClock)
        let (population, contraindication) = await threads.run {
            (
                AlertingService.population(of: rule, evaluator, time),
                AlertingService.contraindication(remedy, record.alert.labels, evaluator, time)
            )
        }
        let agent = ports.agentForNode(record.node)
        mutate { guarded in
            var facts = guarded.core.facts(for: record, now: now)
            facts.recordingFault = fault
            facts.agent = agent
            facts.agentHeardAt = agent.flatMap { ports.agentHeardAt($0) }
            facts.population = population
            facts.contraindication = contraindication
            guarded.core.decide(record.id, facts, now: now)
        }
    }

    /// Distinct targets among the series the rule looks at; 0 when that cannot be said.
    private static func population(of rule: Rule?, _ evaluator: EngineEvaluator, _ time: Int64) -> Int {
        guard let rule, let selectors = try? evaluator.selectors(in: rule.expression) else { return 0 }
        let range = TimeRange(startMilliseconds: time - DataPresence.lookbackMilliseconds, endMilliseconds: time)
        var targets: Set<String> = []
        for matchers in selectors {
            let context = QueryContext(clock: evaluator.clock)
            let series = try? evaluator.series.series(SeriesRequest(matchers: matchers, range: range), in: context)
            targets.formUnion((series ?? []).compactMap { RemedyTarget.container($0) })
        }
        return targets.count
    }

    /// The first contraindication that answers with anything, or that cannot be asked: what is not known forbids.
    private static func contraindication(
        _ remedy: Remedy, _ labels: Labels, _ evaluator: EngineEvaluator, _ time: Int64
    ) -> String? {
        let map = Dictionary(labels.pairs.map { ($0.name, $0.value) }) { _, last in last }
        for template in remedy.contraindications {
            do {
                let data = TemplateData(labels: map, value: 0, milliseconds: time)
                let expression = try template.expand(data)
                if let point = try evaluator.vector(expression, atMilliseconds: time).first(where: { $0.value != 0 }) {
                    return "contraindicated by \(template.text): \(point.labels) is \(FloatText.plain(point.value))"
                }
            } catch {
                return "contraindication \(template.text) cannot be asked: \(error)"
            }
        }
        return nil
    }

    private func freeze(_ record: ActionRecord, _ remedy: Remedy, _ alert: AlertInstance) async {
        let collector = EvidenceCollector(series: ports.series, logs: ports.logs, clock: ports.monotonicClock)
        let store = EvidenceStore(storage: ports.storage, folder: ports.folder)
        let time = now
        let result = await threads.run { () -> Result<(path: String, hash: String), StorageError> in
            let bytes = collector.collect(record, remedy, alert: alert, now: time)
            return Result { () throws(StorageError) in
                (try store.write(bytes, of: record.id), EvidenceCollector.hash(bytes))
            }
        }
        switch result {
        case .success(let evidence):
            mutate { $0.core.evidenceFrozen(record.id, path: evidence.path, hash: evidence.hash, now: now) }
        case .failure(let error):
            // Without evidence nothing is done; the guard-rails are asked again later.
            mutate { guarded in
                guard let current = guarded.core.state.actions[record.id] else { return }
                guarded.core.advance(
                    current, .decided(obstacle: "the evidence cannot be kept: \(error)"), remedy, now: now)
            }
        }
    }

    // MARK: Recording

    func runRecords() async {
        while !Task.isCancelled {
            let wasDone = await recordOnce()
            await recordSignal.wait(milliseconds: wasDone ? 60_000 : 2000)
        }
        _ = await recordOnce()
    }

    /// Writes pending records of the audit log and pending events; false when something could not be written.
    func recordOnce() async -> Bool {
        let (audit, events) = guarded.withLock { guarded -> ([PendingAudit], [PendingEvent]) in
            // What the journal does not have yet may not appear elsewhere.
            let core = guarded.core
            return (
                core.state.pendingAudit.filter { $0.sequence <= core.durableAudit },
                core.state.pendingEvents.filter { $0.sequence <= core.durableEvent }
            )
        }
        var wasDone = true
        if !audit.isEmpty {
            let auditLog = self.auditLog
            let result = await threads.run { auditLog.append(pending: audit) }
            let hadFault = guarded.withLock { guarded in
                defer { guarded.auditFault = result.fault.map { "\($0)" } }
                return guarded.auditFault != nil
            }
            mutate { $0.core.record(.auditHead(result.head)) }
            wasDone = result.fault == nil
            if let fault = result.fault, !hadFault {
                ports.report(
                    "audit log: \(fault). Remedies rest until it takes records again; it is tried every two seconds")
            }
            if wasDone, hadFault { ports.report("audit log: it takes records again, nothing is missing") }
        }
        if let last = events.last {
            do {
                _ = try await ports.lines.append(EventRecord.batch(events.map(\.event)))
                mutate { $0.core.record(.eventsStored(through: last.sequence)) }
            } catch {
                wasDone = false
            }
        }
        return wasDone
    }

    /// Changes the state without waking the loops that call this themselves.
    private func mutateQuietly<Value>(_ body: (inout Guarded) -> sending Value) -> sending Value {
        var notices: [String] = []
        let value = guarded.withLock { guarded in
            let value = body(&guarded)
            submit(guarded.core.takeEntries())
            notices = guarded.core.takeNotices()
            return value
        }
        for notice in notices { ports.report(notice) }
        return value
    }
}
