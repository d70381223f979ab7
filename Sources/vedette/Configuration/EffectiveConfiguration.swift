internal import Agent
internal import Server
internal import Telemetry

/// The configuration in force as YAML, defaults filled in, for `/api/v1/status/config`. It is written from what was
/// understood, and never from the file's text, so that no secret can slip through: where one is, it says `<secret>`.
struct EffectiveConfiguration {
    let file: ConfigurationFile
    let retention: Settings.Retention
    /// The names of those who are told of alerts.
    let receivers: [String]

    /// The text, ending in a new line.
    var yaml: String {
        var lines = [
            "server:",
            "  query_timeout: \(duration(file.queryTimeoutMilliseconds))",
            "  evaluation_interval: \(duration(file.evaluationIntervalMilliseconds))",
            "  admin_api: \(file.adminAPIEnabled)",
        ]
        if file.queryConcurrency > 0 { lines.append("  query_concurrency: \(file.queryConcurrency)") }
        if let tls = file.tls {
            lines.append("  tls:")
            if let certificate = tls.certificateFile {
                lines += ["    certificate_file: \(quoted(certificate))", "    key_file: <secret>"]
            } else {
                lines.append("    names: [\(tls.names.map(quoted).joined(separator: ", "))]")
            }
            lines.append("    agent_certificate_lifetime: \(duration(tls.agentCertificateMilliseconds))")
        }
        if !file.tokens.isEmpty { lines.append("  tokens:") }
        for token in file.tokens {
            let permissions = token.permissions.map(\.rawValue).sorted().joined(separator: ", ")
            lines += ["  - name: \(quoted(token.name))", "    file: <secret>", "    permissions: [\(permissions)]"]
        }
        lines += [
            "retention:",
            "  metrics: \(duration(retention.metricsMilliseconds))",
            "  logs: \(duration(retention.logsMilliseconds))",
        ]
        if !receivers.isEmpty { lines += ["alerting:", "  receivers:"] + receivers.map { "  - name: \(quoted($0))" } }
        if !file.scrapeJobs.isEmpty { lines.append("scrape_configs:") }
        for job in file.scrapeJobs { lines += self.lines(of: job) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func lines(of job: ScrapeJob) -> [String] {
        var lines = [
            "- job_name: \(quoted(job.name))",
            "  scrape_interval: \(duration(job.intervalMilliseconds))",
            "  scrape_timeout: \(duration(job.timeoutMilliseconds))",
            "  metrics_path: \(quoted(job.path))",
            "  scheme: \(job.scheme)",
            "  honor_labels: \(job.honorsLabels)",
            "  honor_timestamps: \(job.honorsTimestamps)",
        ]
        if job.authorization != nil { lines.append("  authorization: {credentials: <secret>}") }
        if !job.groups.isEmpty { lines.append("  static_configs:") }
        for group in job.groups {
            lines.append("  - targets: [\(group.addresses.map(quoted).joined(separator: ", "))]")
            guard !group.labels.isEmpty else { continue }
            lines.append("    labels:")
            for (name, value) in group.labels.sorted(by: { $0.key < $1.key }) {
                lines.append("      \(quoted(name)): \(quoted(value))")
            }
        }
        return lines
    }

    private func duration(_ milliseconds: Int64) -> String { Durations.prometheus(milliseconds: milliseconds) }

    /// In quotes that YAML reads as JSON does.
    private func quoted(_ text: String) -> String {
        var writer = JSONWriter()
        writer.string(text)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
