internal import Telemetry
package import Transport
internal import Wire

/// One entry of `scrape_configs` as the scrape loop needs it: whom to ask, how, how often, and what to make of answers.
package struct ScrapeJob: Sendable, Equatable {
    /// Addresses that share labels.
    package struct TargetGroup: Sendable, Equatable {
        /// HOST:PORT each.
        package var addresses: [String]
        package var labels: [String: String]

        /// Addresses with labels.
        package init(addresses: [String], labels: [String: String] = [:]) {
            self.addresses = addresses
            self.labels = labels
        }
    }

    /// A secret as it stands in the configuration, or the file that holds it and is read anew for scrapes.
    package enum Secret: Sendable, Equatable {
        case text(String)
        case file(String)
    }

    /// What goes into the Authorization field.
    package enum Authorization: Sendable, Equatable {
        case basic(user: Secret, password: Secret)
        /// A scheme, usually `Bearer`, and the credentials behind it.
        case scheme(String, Secret)
    }

    /// Bounds of one scrape; 0 is none. What is beyond fails the scrape as a whole.
    package struct Limits: Sendable, Equatable {
        /// The body, also when it was compressed.
        package var bodyBytes = ScrapeJob.bodyBytesDefault
        package var samples = 0
        package var labels = 0
        package var labelNameBytes = 0
        package var labelValueBytes = 0

        /// No limit but that of the body.
        package init() {}
    }

    /// The longest body where the configuration says nothing.
    package static let bodyBytesDefault = 64 << 20

    package var name: String
    package var intervalMilliseconds: Int64 = 15_000
    package var timeoutMilliseconds: Int64 = 10_000
    package var path = "/metrics"
    package var scheme = "http"
    /// Names with their values, sent as the query.
    package var parameters: [String: [String]] = [:]
    package var honorsLabels = false
    package var honorsTimestamps = true
    package var followsRedirects = true
    package var acceptsCompression = true
    package var authorization: Authorization?
    package var tls: TLSProfile?
    package var limits = Limits()
    package var groups: [TargetGroup] = []
    package var relabeling: [RelabelRule] = []
    package var metricRelabeling: [RelabelRule] = []

    /// A job with Prometheus' defaults.
    package init(name: String) {
        self.name = name
    }
}

extension ScrapeJob {
    /// What the configuration's addresses become before and after relabeling.
    struct Discovery: Sendable {
        var targets: [ScrapeTarget] = []
        /// Labels of addresses that relabeling dropped.
        var dropped: [[String: String]] = []
        /// Addresses that cannot be scraped, in words.
        var faults: [String] = []
    }

    /// The targets of the job: each address with the job's labels, relabeled; the same target twice counts once.
    func discover() -> Discovery {
        var discovery = Discovery()
        var known: Set<ScrapeTarget.Key> = []
        for group in groups {
            for address in group.addresses {
                let discovered = labels(of: address, group)
                guard let relabeled = RelabelRule.apply(relabeling, to: discovered) else {
                    discovery.dropped.append(discovered)
                    continue
                }
                do throws(ScrapeFailure) {
                    let target = try ScrapeTarget(job: self, discovered: discovered, relabeled: relabeled)
                    if known.insert(target.key).inserted { discovery.targets.append(target) }
                } catch {
                    discovery.faults.append("job \(name), target \(address): \(error.description)")
                }
            }
        }
        return discovery
    }

    private func labels(of address: String, _ group: TargetGroup) -> [String: String] {
        var labels = [
            "job": name, "__scheme__": scheme, "__metrics_path__": path,
            "__scrape_interval__": Durations.prometheus(milliseconds: intervalMilliseconds),
            "__scrape_timeout__": Durations.prometheus(milliseconds: timeoutMilliseconds),
        ]
        for (name, values) in parameters { labels["__param_\(name)"] = values.first }
        labels.merge(group.labels) { _, own in own }
        labels["__address__"] = address
        return labels
    }
}

/// Why a scrape gave nothing, in words for the page of targets.
struct ScrapeFailure: Error, Equatable, CustomStringConvertible {
    let description: String

    /// A failure in words.
    init(_ description: String) {
        self.description = description
    }
}
