internal import Telemetry
internal import Wire

/// One address to scrape: where it is, the labels its samples get, and when in each interval its turn is.
struct ScrapeTarget: Sendable {
    /// What makes two targets the same.
    struct Key: Hashable, Sendable {
        var url: String
        var labels: Labels
    }

    /// What samples get: the relabeled labels without those that begin with two underscores.
    let labels: Labels
    /// As the configuration gave them.
    let discovered: Labels
    let endpoint: HTTPEndpoint
    /// Path and query.
    let path: String
    let intervalMilliseconds: Int64
    let timeoutMilliseconds: Int64

    /// The target of a job after relabeling. Throws where it cannot be scraped.
    init(job: ScrapeJob, discovered: [String: String], relabeled: [String: String]) throws(ScrapeFailure) {
        let address = relabeled["__address__"] ?? ""
        let scheme = relabeled["__scheme__"] ?? job.scheme
        guard !address.isEmpty, !address.contains("/") else {
            throw ScrapeFailure("\(QuotedText.quoted(address)) is not HOST:PORT")
        }
        guard scheme == "http" || scheme == "https" else {
            throw ScrapeFailure("scheme \(scheme) is not http or https")
        }
        do {
            endpoint = try HTTPEndpoint.parse("\(scheme)://\(address)")
        } catch {
            throw ScrapeFailure("\(error)")
        }
        intervalMilliseconds = try Self.duration("__scrape_interval__", relabeled, job.intervalMilliseconds)
        timeoutMilliseconds = try Self.duration("__scrape_timeout__", relabeled, job.timeoutMilliseconds)
        guard timeoutMilliseconds <= intervalMilliseconds else {
            throw ScrapeFailure("the timeout is longer than the interval")
        }
        let named = relabeled["__metrics_path__"] ?? job.path
        path = (named.hasPrefix("/") ? named : "/" + named) + Self.query(job, relabeled)
        var own = relabeled.filter { !$0.key.hasPrefix("__") }
        if own["instance"] == nil { own["instance"] = address }
        labels = Labels(own)
        self.discovered = Labels(discovered)
    }

    var key: Key { Key(url: url, labels: labels) }

    /// The address as people write it.
    var url: String { "\(endpoint)\(path)" }

    /// How far into each interval the target is scraped: the same after every restart, and spread evenly over targets,
    /// so that a thousand of them never fire at once.
    var offsetMilliseconds: Int64 {
        // FNV-1a, then a finalizer: neighbouring names must not lie side by side.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in Array(url.utf8) + labels.encoded { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash ^= hash >> 33
        return Int64(hash % UInt64(max(1, intervalMilliseconds)))
    }

    /// The time of the next scrape after `now`. `last` is that of the one before: never the same twice, unless the
    /// clock was set back.
    func nextMilliseconds(after last: Int64?, now: Int64) -> Int64 {
        let offset = offsetMilliseconds
        let passed = (now - offset).quotientAndRemainder(dividingBy: intervalMilliseconds).quotient
        var due = passed * intervalMilliseconds + offset
        while due <= now { due += intervalMilliseconds }
        if let last, due <= last, last - due < intervalMilliseconds { due += intervalMilliseconds }
        return due
    }

    private static func duration(
        _ name: String, _ labels: [String: String], _ fallback: Int64
    ) throws(ScrapeFailure) -> Int64 {
        guard let text = labels[name] else { return fallback }
        guard let milliseconds = try? Durations.milliseconds(prometheus: text), milliseconds > 0 else {
            throw ScrapeFailure("\(name) \(QuotedText.quoted(text)) is no duration over 0")
        }
        return milliseconds
    }

    /// The job's parameters; the first value of each may have been relabeled.
    private static func query(_ job: ScrapeJob, _ labels: [String: String]) -> String {
        let prefix = "__param_"
        let relabeled = labels.filter { $0.key.hasPrefix(prefix) }.map { String($0.key.dropFirst(prefix.count)) }
        var items: [QueryString.Item] = []
        for name in Set(job.parameters.keys).union(relabeled).sorted() {
            let rest = job.parameters[name]?.dropFirst() ?? []
            for value in [labels[prefix + name]].compactMap(\.self) + rest {
                items.append(QueryString.Item(name, value))
            }
        }
        return items.isEmpty ? "" : "?" + QueryString(items).encoded
    }
}
