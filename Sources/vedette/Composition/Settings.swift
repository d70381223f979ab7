internal import Alerting
internal import Disk
internal import Server
internal import Synchronization
internal import Telemetry
internal import Wire

/// What flags and the configuration file say together, and what a reload replaces as a whole or not at all.
final class Settings: Sendable {
    /// How long each signal is kept; 0 is for ever.
    struct Retention: Sendable {
        var metricsMilliseconds: Int64
        var logsMilliseconds: Int64
    }

    /// One consistent reading of all files.
    struct Reading: Sendable {
        var file: ConfigurationFile
        var alerting: AlertingConfiguration
        var tokens: [AccessToken]
        var retention: Retention
        /// What is wrong with rule files that a start left out; empty after a reload, which takes all or nothing.
        var findings: [RuleFinding] = []
    }

    /// How the last reading went, for `/metrics`.
    private struct LastReading {
        var isGood: Bool
        var goodAtMilliseconds: Int64
    }

    private static let retentionMetricsDefault: Int64 = 90 * 86_400_000
    private static let retentionLogsDefault: Int64 = 30 * 86_400_000

    private let arguments: ServerArguments
    /// The token that the agent of the same process uses; nobody else knows it.
    let ownToken: AccessToken
    private let current: Mutex<Reading>
    private let last: Mutex<LastReading>

    /// Reads everything once; throws in words for the person who wrote the files. Rule files with errors are left out
    /// and told of: a server that comes back after a crash must watch what it can, and not wait for somebody to mend a
    /// file. Errors in the configuration itself forbid a start.
    init(_ arguments: ServerArguments) throws {
        self.arguments = arguments
        let secret = (0..<32).map { _ in UInt8.random(in: 0x21...0x7e) }
        ownToken = AccessToken(
            secret: secret, principal: Principal(name: "agent of this process", permissions: [.ingest]))
        let reading = try Settings.read(arguments, isStart: true)
        current = Mutex(reading)
        last = Mutex(
            LastReading(
                isGood: reading.alerting.brokenFiles.isEmpty, goodAtMilliseconds: SystemWallClock().nowMilliseconds))
    }

    var reading: Reading { current.withLock { $0 } }
    var retention: Retention { current.withLock { $0.retention } }

    /// The tokens to check requests against. With none configured, the process' own is not one either: it would close
    /// the API of a loopback listener to everybody else.
    var tokens: [AccessToken] {
        let tokens = current.withLock { $0.tokens }
        return tokens.isEmpty ? [] : tokens + [ownToken]
    }

    /// Reads everything again. When anything is wrong nothing changes, and the error says what and where.
    /// `takeOver` is what else has to succeed with the new file.
    func reload(_ takeOver: (ConfigurationFile) throws -> Void = { _ in }) throws -> Reading {
        do {
            let fresh = try Settings.read(arguments, isStart: false)
            try takeOver(fresh.file)
            current.withLock { $0 = fresh }
            last.withLock { $0 = LastReading(isGood: true, goodAtMilliseconds: SystemWallClock().nowMilliseconds) }
            return fresh
        } catch {
            last.withLock { $0.isGood = false }
            throw error
        }
    }

    /// What is in force, for those who ask over the API.
    var status: ConfigurationStatus {
        let last = last.withLock { $0 }
        let reading = reading
        let receivers = reading.alerting.notify.receiverNames
        return ConfigurationStatus(
            yaml: EffectiveConfiguration(file: reading.file, retention: reading.retention, receivers: receivers).yaml,
            isGood: last.isGood, readMilliseconds: last.goodAtMilliseconds)
    }

    /// How reading went, under Prometheus' names.
    var metrics: [StoreMetric] {
        let last = last.withLock { $0 }
        return [
            StoreMetric(
                "vedette_config_last_reload_successful", .gauge, last.isGood ? 1 : 0,
                help: "Whether the last reading of configuration and rules found no error."),
            StoreMetric(
                "vedette_config_last_reload_success_timestamp_seconds", .gauge,
                Double(last.goodAtMilliseconds) / 1_000, help: "When configuration and rules were last taken over."),
            StoreMetric(
                "vedette_rule_files_left_out", .gauge, Double(reading.alerting.brokenFiles.count),
                help: "Rule files that were left out at the start because of errors."),
        ]
    }

    private static func read(_ arguments: ServerArguments, isStart: Bool) throws -> Reading {
        let file = try arguments.config.map(ConfigurationFile.read) ?? ConfigurationFile()
        let folders = arguments.rules.map { [$0] } ?? []
        let found = try isStart ? RuleFiles.examine(folders) : RuleFiles.read(arguments.rules)
        let rules = found.withoutBrokenFiles
        let notify = try NotifyConfiguration.read(file.alerting)
        var alerting = AlertingConfiguration(
            groups: rules.groups, remedies: rules.remedies, notify: notify,
            evaluationIntervalMilliseconds: file.evaluationIntervalMilliseconds)
        alerting.brokenFiles = found.brokenFiles
        return Reading(
            file: file, alerting: alerting, tokens: try tokens(file), retention: try retention(arguments, file),
            findings: found.findings.filter { $0.severity == .error })
    }

    private static func tokens(_ file: ConfigurationFile) throws -> [AccessToken] {
        try file.tokens.map { token in
            let secret = Array(try TokenFile.read(token.file).utf8)
            return AccessToken(secret: secret, principal: Principal(name: token.name, permissions: token.permissions))
        }
    }

    private static func retention(_ arguments: ServerArguments, _ file: ConfigurationFile) throws -> Retention {
        func chosen(_ flag: String?, _ option: String, _ inFile: Int64?, _ fallback: Int64) throws -> Int64 {
            guard let flag else { return inFile ?? fallback }
            return flag == "0" ? 0 : try TimeArgument.duration(flag, option: option)
        }
        return Retention(
            metricsMilliseconds: try chosen(
                arguments.retentionMetrics, "--retention-metrics", file.retentionMetricsMilliseconds,
                retentionMetricsDefault),
            logsMilliseconds: try chosen(
                arguments.retentionLogs, "--retention-logs", file.retentionLogsMilliseconds, retentionLogsDefault))
    }
}
