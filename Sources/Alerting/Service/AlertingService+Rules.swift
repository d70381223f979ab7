internal import Query
internal import Synchronization
internal import Telemetry

/// What the last evaluation of a rule gave.
struct EvaluationStatus: Sendable {
    var health = RuleStatus.Health.unknown
    var lastError = ""
    var evaluationNanoseconds: Int64 = 0
    var lastEvaluationMilliseconds: Int64?
    var matchCount = 0
}

/// What the last evaluation of a group gave.
struct GroupEvaluationStatus: Sendable {
    var evaluationNanoseconds: Int64 = 0
    var lastEvaluationMilliseconds: Int64?
    var missed = 0
    var iterations = 0
}

/// The loop that evaluates rules.
extension AlertingService {
    /// While an action is being verified, its rule is evaluated this often, so that success is seen as soon as the
    /// expression allows.
    static let closeWatchMilliseconds: Int64 = 1000

    func runSchedule() async {
        await withDiscardingTaskGroup { group in
            var closelyWatchedAt: Int64 = 0
            while !Task.isCancelled {
                let isCloseWatchDue = abs(now - closelyWatchedAt) >= AlertingService.closeWatchMilliseconds
                if isCloseWatchDue { closelyWatchedAt = now }
                for job in takeJobs(isCloseWatchDue: isCloseWatchDue) {
                    group.addTask { await self.evaluate(job) }
                }
                await scheduleSignal.wait(milliseconds: scheduleDelay())
            }
        }
    }

    /// An evaluation of a group.
    struct Job: Sendable {
        var group: RuleGroup
        var time: Int64
        var woken: Set<String>
    }

    private func takeJobs(isCloseWatchDue: Bool) -> [Job] {
        mutate { guarded in
            guarded.core.keepMark(now: now)
            var jobs: [Job] = []
            let groups = Dictionary(
                guarded.core.configuration.groups.map { ($0.identity, $0) }
            ) { first, _ in first }
            let wokenByGroup = Dictionary(
                grouping: guarded.selectors.filter { guarded.woken.contains($0.rule) }, by: \.group)
            for (identity, entries) in wokenByGroup {
                guard let group = groups[identity], guarded.schedule.begin(identity) else { continue }
                let rules = Set(entries.map(\.rule))
                guarded.woken.subtract(rules)
                jobs.append(Job(group: group, time: now, woken: rules))
            }
            for due in guarded.schedule.due(now: now) {
                guarded.groupStatuses[due.group, default: GroupEvaluationStatus()].missed += due.missed
                guard let group = groups[due.group] else { continue }
                jobs.append(Job(group: group, time: due.evaluationTime, woken: []))
            }
            if isCloseWatchDue {
                for identity in guarded.core.closelyWatchedGroups {
                    guard let group = groups[identity], guarded.schedule.begin(identity) else { continue }
                    jobs.append(Job(group: group, time: now, woken: []))
                }
            }
            return jobs
        }
    }

    private func scheduleDelay() -> Int64 {
        guarded.withLock { guarded in
            var next = (guarded.schedule.nextTime ?? now + 60_000) - now
            if !guarded.core.closelyWatchedGroups.isEmpty { next = min(next, AlertingService.closeWatchMilliseconds) }
            return min(max(next, 1), 60_000)
        }
    }

    /// Evaluates the rules of a group one after the other, so that a rule sees what the one before recorded.
    func evaluate(_ job: Job) async {
        let configuration = guarded.withLock { $0.core.configuration }
        let evaluator = RuleEvaluator(
            evaluator: EngineEvaluator(engine: ports.engine, series: ports.series, clock: ports.monotonicClock),
            clock: ports.monotonicClock, externalLabels: configuration.externalLabels,
            externalURL: configuration.externalURL)
        let start = ports.monotonicClock.nowNanoseconds
        var alertSamples = SampleBatch(groups: [])
        for rule in job.group.rules {
            if Task.isCancelled { break }
            let watched = guarded.withLock { $0.core.watched(rule: rule.identity) }
            let outcome = await threads.run {
                evaluator.evaluate(rule, in: job.group, at: job.time, active: watched)
            }
            let group = take(outcome, job)
            guard !group.series.isEmpty else { continue }
            if case .record = rule.kind {
                await store(SampleBatch(groups: [group]), of: rule)
            } else {
                alertSamples.groups.append(group)
            }
        }
        let duration = ports.monotonicClock.nowNanoseconds - start
        guarded.withLock { guarded in
            guarded.groupStatuses[job.group.identity, default: GroupEvaluationStatus()].evaluationNanoseconds = duration
            guarded.groupStatuses[job.group.identity]?.lastEvaluationMilliseconds = job.time
            guarded.groupStatuses[job.group.identity]?.iterations += 1
        }
        if let rule = job.group.rules.first, !alertSamples.groups.isEmpty { await store(alertSamples, of: rule) }
        guarded.withLock { $0.schedule.finished(job.group.identity) }
        scheduleSignal.signal()
    }

    /// Takes in the outcome of a rule; returns the samples it leaves behind.
    private func take(_ outcome: RuleOutcome, _ job: Job) -> SampleGroup {
        mutate { guarded in
            let identity = outcome.rule.identity
            // The rule may have gone while it was evaluated.
            guard guarded.core.rule(identity) != nil else {
                return guarded.series.samples(ofRemoved: [identity], at: outcome.evaluationTime)
            }
            let (alerts, error) = guarded.core.apply(
                outcome, in: job.group, isWoken: job.woken.contains(identity), now: now)
            var status = EvaluationStatus()
            status.lastError = error
            status.health = error.isEmpty ? .ok : .err
            status.evaluationNanoseconds = outcome.durationNanoseconds
            status.lastEvaluationMilliseconds = outcome.evaluationTime
            defer { guarded.statuses[identity] = status }
            // Samples stand for the time that was looked at.
            let time = outcome.evaluationTime - job.group.queryOffsetMilliseconds
            switch outcome.answer {
            case .alerts(let matches, _):
                status.matchCount = matches.count
                return guarded.series.samples(of: identity, alerts: alerts, at: time)
            case .series(let points):
                status.matchCount = points.count
                return guarded.series.samples(of: identity, points: points, at: time)
            case .failed: return SampleGroup()
            }
        }
    }

    private func store(_ batch: SampleBatch, of rule: Rule) async {
        do {
            // A sample that is older than the last of its series is refused by itself, which is fine.
            _ = try await ports.samples.append(batch)
        } catch {
            guarded.withLock { guarded in
                guarded.statuses[rule.identity]?.health = .err
                guarded.statuses[rule.identity]?.lastError = "its samples could not be stored: \(error)"
            }
        }
    }
}
