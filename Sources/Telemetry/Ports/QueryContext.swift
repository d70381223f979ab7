internal import Synchronization

/// Why a query was ended before its end.
public enum QueryInterruption: Error, Sendable, Equatable, CustomStringConvertible {
    /// The client went away or somebody killed the query.
    case cancelled
    /// It ran longer than its limit.
    case timedOut(milliseconds: Int64)
    /// It would have used more memory than its budget.
    case overBudget(bytes: Int)
    /// It would have loaded more samples than its limit; Prometheus' words.
    case tooManySamples

    public var description: String {
        switch self {
        case .cancelled: "query was canceled"
        case .timedOut(let milliseconds): "query timed out after \(milliseconds) ms; narrow its range or its selector"
        case .overBudget(let bytes):
            "query needs more than its \(bytes) bytes of memory; narrow its range, its selector or its grouping"
        case .tooManySamples: "query processing would load too many samples into memory in query execution"
        }
    }
}

/// What one query looked at, for `?stats=all`, the slow-query log and the footer of the CLI.
public struct QueryStatistics: Sendable, Equatable {
    public var seriesSelected = 0
    public var samplesDecoded = 0
    public var chunksDecoded = 0
    /// Chunks answered from their header.
    public var chunksSkipped = 0
    public var streamsSelected = 0
    public var linesScanned = 0
    public var linesMatched = 0
    public var blocksRead = 0
    /// Blocks ruled out by time, severity or a filter.
    public var blocksSkipped = 0
    public var bytesRead = 0

    /// Nothing looked at yet.
    public init() {}
}

/// A range of time for which an answer is not whole, and why: damage, a dropped backlog, a retention cut.
public struct AnswerGap: Sendable, Equatable {
    public var range: LogTimeRange
    public var labels: Labels
    public var reason: String

    /// A gap of one stream or series.
    public init(range: LogTimeRange, labels: Labels, reason: String) {
        self.range = range
        self.labels = labels
        self.reason = reason
    }
}

/// Travels with one query through engine and stores: cancellation, budget, warnings, statistics. Thread-safe.
public final class QueryContext: Sendable {
    /// What a query may use.
    public struct Limits: Sendable {
        /// The memory one query may hold.
        public var bytes: Int
        /// Prometheus' `--query.max-samples`.
        public var samples: Int
        /// A point of the monotonic clock, in nanoseconds; nil for no limit.
        public var deadlineNanoseconds: Int64?
        /// What `deadlineNanoseconds` amounts to, for the error's text.
        public var timeoutMilliseconds: Int64

        /// Limits; the defaults suit one interactive query.
        public init(
            bytes: Int = 1 << 30, samples: Int = 50_000_000, deadlineNanoseconds: Int64? = nil,
            timeoutMilliseconds: Int64 = 120_000
        ) {
            self.bytes = bytes
            self.samples = samples
            self.deadlineNanoseconds = deadlineNanoseconds
            self.timeoutMilliseconds = timeoutMilliseconds
        }
    }

    private struct State {
        var statistics = QueryStatistics()
        var warnings: [String] = []
        var infos: [String] = []
        var gaps: [AnswerGap] = []
        var bytesInUse = 0
        var bytesPeak = 0
    }

    /// The most warnings one answer carries; the rest is counted in the last of them.
    public static let warningsMaximum = 100

    public let limits: Limits
    private let clock: any MonotonicClock
    private let isCancelled = Atomic<Bool>(false)
    private let state = Mutex(State())

    /// A context for one query.
    public init(limits: Limits = Limits(), clock: any MonotonicClock) {
        self.limits = limits
        self.clock = clock
    }

    /// Ends the query at its next check.
    public func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// Throws when the query was cancelled or ran out of time. Cheap: called once per chunk and per step.
    public func check() throws(QueryInterruption) {
        if isCancelled.load(ordering: .relaxed) { throw .cancelled }
        if let deadline = limits.deadlineNanoseconds, clock.nowNanoseconds > deadline {
            throw .timedOut(milliseconds: limits.timeoutMilliseconds)
        }
    }

    /// Takes `bytes` from the budget; throws when there is not enough left. Give them back with `release`.
    public func reserve(_ bytes: Int) throws(QueryInterruption) {
        let isOver = state.withLock { state in
            state.bytesInUse += bytes
            state.bytesPeak = max(state.bytesPeak, state.bytesInUse)
            return state.bytesInUse > limits.bytes
        }
        if isOver { throw .overBudget(bytes: limits.bytes) }
    }

    /// Gives bytes back to the budget.
    public func release(_ bytes: Int) { state.withLock { $0.bytesInUse -= bytes } }

    /// Adds to the statistics; throws when the sample limit is passed.
    public func count(_ change: (inout QueryStatistics) -> Void) throws(QueryInterruption) {
        let samples = state.withLock { state in
            change(&state.statistics)
            return state.statistics.samplesDecoded
        }
        if samples > limits.samples { throw .tooManySamples }
    }

    /// Adds a warning that goes out with the answer, once per text.
    public func warn(_ text: String) {
        state.withLock { state in
            guard !state.warnings.contains(text) else { return }
            if state.warnings.count < QueryContext.warningsMaximum { state.warnings.append(text) }
        }
    }

    /// Adds a remark that goes out with the answer, once per text.
    public func inform(_ text: String) {
        state.withLock { state in
            guard !state.infos.contains(text), state.infos.count < QueryContext.warningsMaximum else { return }
            state.infos.append(text)
        }
    }

    /// Adds a span for which the answer is not whole.
    public func report(_ gap: AnswerGap) {
        state.withLock { state in
            if state.gaps.count < QueryContext.warningsMaximum { state.gaps.append(gap) }
        }
    }

    public var statistics: QueryStatistics { state.withLock { $0.statistics } }
    public var warnings: [String] { state.withLock { $0.warnings } }
    public var infos: [String] { state.withLock { $0.infos } }
    public var gaps: [AnswerGap] { state.withLock { $0.gaps } }
    /// The most memory the query held at once, as far as it was reserved.
    public var bytesPeak: Int { state.withLock { $0.bytesPeak } }
}
