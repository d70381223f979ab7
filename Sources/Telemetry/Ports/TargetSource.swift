/// What is scraped, and how the last scrape went.
public struct ScrapedTarget: Sendable, Equatable {
    /// How a target is, in Prometheus' words.
    public enum Health: String, Sendable {
        /// Not scraped yet.
        case unknown
        case up
        case down
    }

    /// The `job_name` it comes from.
    public var pool: String
    /// As the configuration gave it.
    public var discovered: Labels
    /// What its samples carry; empty for a dropped one.
    public var labels: Labels
    public var url: String
    public var health: Health
    /// Why the last scrape failed; empty when it did not.
    public var lastError: String
    /// The time of the last scrape, milliseconds since 1970; nil before the first.
    public var lastScrapeMilliseconds: Int64?
    public var lastDurationSeconds: Double
    public var intervalMilliseconds: Int64
    public var timeoutMilliseconds: Int64

    /// A target that was not scraped yet.
    public init(
        pool: String, discovered: Labels, labels: Labels, url: String, intervalMilliseconds: Int64,
        timeoutMilliseconds: Int64
    ) {
        self.pool = pool
        self.discovered = discovered
        self.labels = labels
        self.url = url
        health = .unknown
        lastError = ""
        lastScrapeMilliseconds = nil
        lastDurationSeconds = 0
        self.intervalMilliseconds = intervalMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// Port: tells what is scraped.
public protocol TargetSource: Sendable {
    /// The targets, by pool and address.
    var activeTargets: [ScrapedTarget] { get }
    /// What relabeling dropped.
    var droppedTargets: [ScrapedTarget] { get }
}
