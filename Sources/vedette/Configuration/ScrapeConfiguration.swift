internal import Wire

/// One entry of `scrape_configs`, in Prometheus' words: a job and the addresses it is scraped from.
struct ScrapeConfiguration: Sendable {
    /// Addresses that share labels.
    struct TargetGroup: Sendable {
        /// HOST:PORT each.
        var targets: [String]
        var labels: [(name: String, value: String)]
    }

    var jobName: String
    var intervalMilliseconds: Int64
    var timeoutMilliseconds: Int64
    var metricsPath: String
    var scheme: String
    var honorsLabels: Bool
    var groups: [TargetGroup]

    /// Checks one entry. What Prometheus knows and this does not is an error, never silently ignored.
    init(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        jobName = try mapping.required("job_name").text()
        intervalMilliseconds = try mapping.durationMilliseconds("scrape_interval") ?? 15_000
        timeoutMilliseconds = try mapping.durationMilliseconds("scrape_timeout") ?? min(intervalMilliseconds, 10_000)
        metricsPath = try mapping.text("metrics_path") ?? "/metrics"
        scheme = try mapping.text("scheme") ?? "http"
        honorsLabels = try mapping.truth("honor_labels") ?? false
        groups = []
        for element in try mapping.elements("static_configs") {
            var group = try element.mapping()
            let targets = try group.required("targets").texts()
            let labels = try group.optional("labels")?.textPairs() ?? []
            try group.finish()
            groups.append(TargetGroup(targets: targets, labels: labels))
        }
        try mapping.finish()
        guard intervalMilliseconds > 0, timeoutMilliseconds > 0, timeoutMilliseconds <= intervalMilliseconds else {
            throw value.error("job \(jobName): scrape_timeout must be over 0 and at most scrape_interval")
        }
        guard scheme == "http" || scheme == "https" else {
            throw value.error("job \(jobName): scheme \(scheme) is neither http nor https")
        }
    }
}
