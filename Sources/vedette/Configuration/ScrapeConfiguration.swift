internal import Agent
internal import Disk
internal import Telemetry
internal import Transport
internal import Wire

/// Reads one entry of `scrape_configs`, in Prometheus' words. What Prometheus knows and this does not is an error with
/// its line, never silently ignored.
enum ScrapeConfiguration {
    /// The job that an entry describes.
    static func job(_ value: YAMLValue) throws(ConfigurationError) -> ScrapeJob {
        var mapping = try value.mapping()
        var job = ScrapeJob(name: try mapping.required("job_name").text())
        job.intervalMilliseconds = try mapping.durationMilliseconds("scrape_interval") ?? job.intervalMilliseconds
        job.timeoutMilliseconds =
            try mapping.durationMilliseconds("scrape_timeout") ?? min(job.intervalMilliseconds, job.timeoutMilliseconds)
        job.path = try mapping.text("metrics_path") ?? job.path
        job.scheme = try mapping.text("scheme") ?? job.scheme
        if let parameters = mapping.optional("params") {
            for (name, values) in try parameters.pairs() { job.parameters[try name.text()] = try values.texts() }
        }
        job.honorsLabels = try mapping.truth("honor_labels") ?? job.honorsLabels
        job.honorsTimestamps = try mapping.truth("honor_timestamps") ?? job.honorsTimestamps
        job.followsRedirects = try mapping.truth("follow_redirects") ?? job.followsRedirects
        job.acceptsCompression = try mapping.truth("enable_compression") ?? job.acceptsCompression
        job.authorization = try authorization(&mapping)
        job.tls = try mapping.optional("tls_config").map { (section) throws(ConfigurationError) in try tls(section) }
        job.limits = try limits(&mapping)
        for element in try mapping.elements("static_configs") { job.groups.append(try group(element)) }
        job.relabeling = try rules(&mapping, "relabel_configs")
        job.metricRelabeling = try rules(&mapping, "metric_relabel_configs")
        try mapping.finish()
        guard job.intervalMilliseconds > 0, job.timeoutMilliseconds > 0,
            job.timeoutMilliseconds <= job.intervalMilliseconds
        else { throw value.error("job \(job.name): scrape_timeout must be over 0 and at most scrape_interval") }
        guard job.scheme == "http" || job.scheme == "https" else {
            throw value.error("job \(job.name): scheme \(job.scheme) is neither http nor https")
        }
        return job
    }

    /// The jobs of the section; two of one name are an error.
    static func jobs(_ section: YAMLValue) throws(ConfigurationError) -> [ScrapeJob] {
        var jobs: [ScrapeJob] = []
        for element in try section.elements() {
            let job = try job(element)
            guard !jobs.contains(where: { $0.name == job.name }) else {
                throw element.error("job_name \(job.name) is used twice")
            }
            jobs.append(job)
        }
        return jobs
    }

    private static func group(_ value: YAMLValue) throws(ConfigurationError) -> ScrapeJob.TargetGroup {
        var mapping = try value.mapping()
        let targets = try mapping.required("targets")
        let addresses = try targets.texts()
        for address in addresses where address.isEmpty || address.contains("/") {
            throw targets.error("\(QuotedText.quoted(address)) is not HOST:PORT; scheme and metrics_path stand apart")
        }
        let labels = try mapping.optional("labels")?.textPairs() ?? []
        try mapping.finish()
        return ScrapeJob.TargetGroup(
            addresses: addresses, labels: Dictionary(labels.map { ($0.name, $0.value) }) { _, last in last })
    }

    private static func limits(_ mapping: inout YAMLMapping) throws(ConfigurationError) -> ScrapeJob.Limits {
        var limits = ScrapeJob.Limits()
        // 0 is no limit in Prometheus' words; the largest a body may be here is what the default says.
        if let size = try mapping.optional("body_size_limit")?.byteSize(), size > 0 {
            limits.bodyBytes = Int(min(size, Int64(ScrapeJob.bodyBytesDefault)))
        }
        limits.samples = Int(try mapping.integer("sample_limit", in: 0...Int64(Int32.max)) ?? 0)
        limits.labels = Int(try mapping.integer("label_limit", in: 0...Int64(Int32.max)) ?? 0)
        limits.labelNameBytes = Int(try mapping.integer("label_name_length_limit", in: 0...Int64(Int32.max)) ?? 0)
        limits.labelValueBytes = Int(try mapping.integer("label_value_length_limit", in: 0...Int64(Int32.max)) ?? 0)
        return limits
    }

    // MARK: - Credentials and TLS

    private static func authorization(
        _ mapping: inout YAMLMapping
    ) throws(ConfigurationError) -> ScrapeJob.Authorization? {
        var found: [(place: YAMLValue, value: ScrapeJob.Authorization)] = []
        if let section = mapping.optional("basic_auth") {
            var basic = try section.mapping()
            let user = try secret(&basic, "username", section) ?? .text("")
            let password = try secret(&basic, "password", section) ?? .text("")
            try basic.finish()
            found.append((section, .basic(user: user, password: password)))
        }
        if let section = mapping.optional("authorization") {
            var authorization = try section.mapping()
            let scheme = try authorization.text("type") ?? "Bearer"
            guard let credentials = try secret(&authorization, "credentials", section) else {
                throw section.error("credentials or credentials_file is missing")
            }
            try authorization.finish()
            guard scheme.lowercased() != "basic" else { throw section.error("for Basic write basic_auth") }
            found.append((section, .scheme(scheme, credentials)))
        }
        for key in ["bearer_token", "bearer_token_file"] {
            guard let token = mapping.optional(key) else { continue }
            let text = try token.text()
            found.append((token, .scheme("Bearer", key == "bearer_token" ? .text(text) : .file(text))))
        }
        if found.count > 1 { throw found[1].place.error("only one of basic_auth, authorization and bearer_token") }
        return found.first?.value
    }

    /// The value of `key` or the file of `key_file`; nil for neither.
    private static func secret(
        _ mapping: inout YAMLMapping, _ key: String, _ section: YAMLValue
    ) throws(ConfigurationError) -> ScrapeJob.Secret? {
        let text = try mapping.text(key)
        let file = try mapping.text("\(key)_file")
        if text != nil, file != nil { throw section.error("only one of \(key) and \(key)_file") }
        return text.map { .text($0) } ?? file.map { .file($0) }
    }

    private static func tls(_ section: YAMLValue) throws(ConfigurationError) -> TLSProfile {
        var mapping = try section.mapping()
        var profile = TLSProfile()
        profile.authorities = try certificate(&mapping, "ca", section)
        profile.certificateChain = try certificate(&mapping, "cert", section)
        profile.privateKey = try certificate(&mapping, "key", section)
        profile.serverName = try mapping.text("server_name")
        if try mapping.truth("insecure_skip_verify") ?? false { profile.verification = .none }
        try mapping.finish()
        guard (profile.certificateChain == nil) == (profile.privateKey == nil) else {
            throw section.error("a client certificate needs both cert_file and key_file")
        }
        return profile
    }

    /// PEM text from `key`, or from the file `key_file`, which is read now and at each reload.
    private static func certificate(
        _ mapping: inout YAMLMapping, _ key: String, _ section: YAMLValue
    ) throws(ConfigurationError) -> [UInt8]? {
        if let text = try mapping.text(key) { return Array(text.utf8) }
        guard let place = mapping.optional("\(key)_file") else { return nil }
        let path = try place.text()
        do {
            if let bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 1 << 20) { return bytes }
        } catch {
            throw place.error("\(key)_file cannot be read: \(error)")
        }
        throw place.error("\(key)_file: there is no file \(path)")
    }

    // MARK: - Relabeling

    private static func rules(
        _ mapping: inout YAMLMapping, _ key: String
    ) throws(ConfigurationError) -> [RelabelRule] {
        var rules: [RelabelRule] = []
        for element in try mapping.elements(key) { rules.append(try rule(element)) }
        return rules
    }

    private static func rule(_ value: YAMLValue) throws(ConfigurationError) -> RelabelRule {
        var mapping = try value.mapping()
        let word = (try mapping.text("action") ?? "replace").lowercased()
        guard let action = RelabelRule.Action(rawValue: word) else {
            let known = RelabelRule.Action.allCases.map(\.rawValue).joined(separator: ", ")
            throw value.error("there is no action \(word); known are \(known)")
        }
        let sources = try mapping.optional("source_labels")?.texts() ?? []
        let separator = try mapping.text("separator") ?? ";"
        let regexPlace = mapping.optional("regex")
        let regex = try regexPlace?.text() ?? "(.*)"
        let target = try mapping.text("target_label") ?? ""
        let replacement = try mapping.text("replacement") ?? "$1"
        let modulus = try mapping.integer("modulus", in: 1 ... .max) ?? 0
        try mapping.finish()
        let needsTarget = [.replace, .hashmod, .lowercase, .uppercase, .keepequal, .dropequal].contains(action)
        guard !needsTarget || !target.isEmpty else { throw value.error("\(word) needs target_label") }
        guard action != .hashmod || modulus > 0 else { throw value.error("hashmod needs a modulus over 0") }
        do throws(RegularExpressionError) {
            return try RelabelRule(
                action, sourceLabels: sources, separator: separator, regex: regex, targetLabel: target,
                replacement: replacement, modulus: UInt64(modulus))
        } catch {
            throw (regexPlace ?? value).error("\(error)")
        }
    }
}
