/// What a scraper says about each of its scrapes, under Prometheus' names: five series of the target beside its own.
///
/// Without them nobody would learn that a target is down, so stores take them where they take no other new series any
/// more: they stand first in a scrape's group, and as many of these names as there are may be over a target's limit.
public enum ScrapeReport {
    /// The names, in the order in which they stand in a group.
    public static let metricNames = [
        "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ]
}
