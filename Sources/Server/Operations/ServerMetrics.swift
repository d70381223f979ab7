internal import Synchronization
internal import Telemetry

/// What the server counts about itself, for `/metrics`.
final class ServerMetrics: Sendable {
    let requests = RequestCounters()
    let ingest = IngestCounters()
    let queries = QueryCounters()

    /// Everything at this moment.
    var readings: [StoreMetric] { requests.readings + ingest.readings + queries.readings }
}

/// Counts of observations below rising bounds, as a Prometheus histogram shows them.
struct DurationHistogram: Sendable {
    /// Upper bounds in seconds.
    static let bounds: [Double] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 120]

    private var counts = [UInt64](repeating: 0, count: DurationHistogram.bounds.count + 1)
    private var sumSeconds = 0.0

    /// Adds one observation.
    mutating func observe(nanoseconds: Int64) {
        let seconds = Double(nanoseconds) / 1e9
        let index = DurationHistogram.bounds.firstIndex { seconds <= $0 } ?? DurationHistogram.bounds.count
        counts[index] += 1
        sumSeconds += seconds
    }

    /// The series of the histogram `name`.
    func readings(_ name: String, help: String, labels: Labels) -> [StoreMetric] {
        var all: [StoreMetric] = []
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound =
                index < DurationHistogram.bounds.count ? FloatText.plain(DurationHistogram.bounds[index]) : "+Inf"
            all.append(
                StoreMetric(
                    "\(name)_bucket", .histogram, Double(total), help: help, labels: labels.setting("le", to: bound)))
        }
        all.append(StoreMetric("\(name)_sum", .histogram, sumSeconds, help: help, labels: labels))
        all.append(StoreMetric("\(name)_count", .histogram, Double(total), help: help, labels: labels))
        return all
    }
}

/// Requests by route, method and status, and how long they took by route.
final class RequestCounters: Sendable {
    private struct Key: Hashable {
        var route: String
        var method: String
        var status: Int
    }

    private struct State {
        var counts: [Key: UInt64] = [:]
        var durations: [String: DurationHistogram] = [:]
    }

    private let state = Mutex(State())

    func record(route: String, method: String, status: Int, nanoseconds: Int64) {
        state.withLock { state in
            state.counts[Key(route: route, method: method, status: status), default: 0] += 1
            state.durations[route, default: DurationHistogram()].observe(nanoseconds: nanoseconds)
        }
    }

    var readings: [StoreMetric] {
        let (counts, durations) = state.withLock { ($0.counts, $0.durations) }
        let requests = counts.sorted { ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status) }.map {
            key, count in
            StoreMetric(
                "vedette_http_requests_total", .counter, Double(count), help: "Requests answered.",
                labels: Labels(["route": key.route, "method": key.method, "code": String(key.status)]))
        }
        let times = durations.sorted { $0.key < $1.key }.flatMap { route, histogram in
            histogram.readings(
                "vedette_http_request_duration_seconds", help: "Time from a request's head to its answer.",
                labels: Labels(["route": route]))
        }
        return requests + times
    }
}

/// What came in, by signal and by what became of it.
final class IngestCounters: Sendable {
    /// What comes in.
    enum Signal: String, CaseIterable, Sendable {
        case samples
        case lines
        case events
    }

    private struct Counts {
        var batches: [String: UInt64] = [:]
        var accepted: UInt64 = 0
        var rejected: UInt64 = 0
        var duplicates: UInt64 = 0
        var bytes: UInt64 = 0
        var durations = DurationHistogram()
    }

    private let state = Mutex<[Signal: Counts]>([:])

    /// A batch was answered with `verdict`.
    func record(
        _ signal: Signal, verdict: String, accepted: Int = 0, rejected: Int = 0, duplicates: Int = 0, bytes: Int,
        nanoseconds: Int64
    ) {
        state.withLock { state in
            var counts = state[signal] ?? Counts()
            counts.batches[verdict, default: 0] += 1
            counts.accepted += UInt64(accepted)
            counts.rejected += UInt64(rejected)
            counts.duplicates += UInt64(duplicates)
            counts.bytes += UInt64(bytes)
            counts.durations.observe(nanoseconds: nanoseconds)
            state[signal] = counts
        }
    }

    var readings: [StoreMetric] {
        let state = state.withLock { $0 }
        var all: [StoreMetric] = []
        for signal in Signal.allCases {
            let counts = state[signal] ?? Counts()
            let labels = Labels(["signal": signal.rawValue])
            for (name, value, help) in [
                (
                    "vedette_ingest_items_accepted_total", counts.accepted,
                    "Samples, lines and events stored and fsynced."
                ),
                ("vedette_ingest_items_rejected_total", counts.rejected, "Samples and lines refused one by one."),
                ("vedette_ingest_items_duplicate_total", counts.duplicates, "Lines that were stored before."),
                ("vedette_ingest_bytes_total", counts.bytes, "Bytes of bodies received, as they were sent."),
            ] {
                all.append(StoreMetric(name, .counter, Double(value), help: help, labels: labels))
            }
            for (verdict, count) in counts.batches.sorted(by: { $0.key < $1.key }) {
                all.append(
                    StoreMetric(
                        "vedette_ingest_batches_total", .counter, Double(count), help: "Batches answered.",
                        labels: labels.setting("verdict", to: verdict)))
            }
            all += counts.durations.readings(
                "vedette_ingest_duration_seconds", help: "Time from a whole batch to its acknowledgement.",
                labels: labels)
        }
        return all
    }
}

/// Queries by kind, how long they took, and how they ended.
final class QueryCounters: Sendable {
    private struct State {
        var durations: [String: DurationHistogram] = [:]
        var failures: [String: UInt64] = [:]
        var samplesDecoded: UInt64 = 0
        var linesScanned: UInt64 = 0
        var bytesRead: UInt64 = 0
    }

    private let state = Mutex(State())

    func record(kind: String, nanoseconds: Int64, statistics: QueryStatistics, failure: String?) {
        state.withLock { state in
            state.durations[kind, default: DurationHistogram()].observe(nanoseconds: nanoseconds)
            if let failure { state.failures[failure, default: 0] += 1 }
            state.samplesDecoded += UInt64(max(0, statistics.samplesDecoded))
            state.linesScanned += UInt64(max(0, statistics.linesScanned))
            state.bytesRead += UInt64(max(0, statistics.bytesRead))
        }
    }

    var readings: [StoreMetric] {
        let state = state.withLock { $0 }
        var all = state.durations.sorted { $0.key < $1.key }.flatMap { kind, histogram in
            histogram.readings(
                "vedette_query_duration_seconds", help: "Time a query ran, waiting not included.",
                labels: Labels(["kind": kind]))
        }
        for (failure, count) in state.failures.sorted(by: { $0.key < $1.key }) {
            all.append(
                StoreMetric(
                    "vedette_query_failures_total", .counter, Double(count), help: "Queries without an answer.",
                    labels: Labels(["reason": failure])))
        }
        all.append(
            StoreMetric(
                "vedette_query_samples_decoded_total", .counter, Double(state.samplesDecoded),
                help: "Samples decoded for queries."))
        all.append(
            StoreMetric(
                "vedette_query_lines_scanned_total", .counter, Double(state.linesScanned), help: "Lines looked at."))
        all.append(
            StoreMetric(
                "vedette_query_read_bytes_total", .counter, Double(state.bytesRead), help: "Bytes read for queries."))
        return all
    }
}
