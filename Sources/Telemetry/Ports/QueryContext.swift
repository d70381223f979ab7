internal import Synchronization

/// Why a query was ended before its end.
public enum QueryInterruption: Error, Sendable, Equatable, CustomStringConvertible {
    /// The client went away or somebody killed the query.
    case cancelled
    /// It ran longer than its limit.
    case timedOut(milliseconds: Int64)
    /// It would have used more memory than its budget.
    case overBudget(bytes: Int)
    /// All queries together would have used more memory than there is for them.
    case overSharedBudget(bytes: Int)
    /// It would have held more samples than its limit; Prometheus' words.
    case tooManySamples
    /// The whole process was over its cap of memory, and this query held most of it.
    case overProcessMemory(bytes: Int)
    /// A store has just been started and cannot show everything it has yet: what it waits for.
    case starting(String)

    public var description: String {
        switch self {
        case .cancelled: "query was canceled"
        case .timedOut(let milliseconds): "query timed out after \(milliseconds) ms; narrow its range or its selector"
        case .overBudget(let bytes):
            "query needs more than its \(bytes) bytes of memory; narrow its range, its selector or its grouping"
        case .overSharedBudget(let bytes):
            "the queries that run now need more than the \(bytes) bytes of memory for all of them; come again, or "
                + "narrow this query's range, its selector or its grouping"
        case .starting(let reason): "the store is starting: \(reason)"
        case .tooManySamples: "query processing would load too many samples into memory in query execution"
        case .overProcessMemory(let bytes):
            "the process came over its cap of memory, and this query held \(bytes) bytes, the most of all; narrow its "
                + "range, its selector or its grouping"
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
    /// Blocks of lines of which none had to be looked at, by what told so.
    public var skipped = SkippedBlocks()
    public var bytesRead = 0

    /// Nothing looked at yet.
    public init() {}
}

/// Blocks of lines of which none had to be looked at, by the kind of filter that told so; cheapest first. Those from
/// `templates` on were opened for it.
public struct SkippedBlocks: Sendable, Equatable {
    /// No line in the range of time.
    public var time = 0
    /// No line of a severity that is asked for.
    public var severity = 0
    /// Counted from the index: which lines they are did not matter.
    public var counted = 0
    /// No line with a word that is looked for: its filter says so, or no word of it is that long.
    public var words = 0
    /// Static texts of templates.
    public var templates = 0
    /// The smallest and largest number, the form of a number, or its length.
    public var numbers = 0
    /// Texts of dictionaries.
    public var dictionaries = 0

    /// None.
    public init() {}

    /// Names and numbers, cheapest first, as answers tell them.
    public var members: [(name: String, blocks: Int)] {
        [
            ("time", time), ("severity", severity), ("counted", counted), ("words", words), ("templates", templates),
            ("numbers", numbers), ("dictionaries", dictionaries),
        ]
    }
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

/// Port: threads that help one query with work that falls into parts.
public protocol ParallelPerforming: Sendable {
    /// Calls `body` with each of `0..<count` once, on the calling thread and on those that have nothing else to do.
    /// Returns when all parts are done.
    func perform(_ count: Int, _ body: @escaping @Sendable (Int) -> Void)
}

/// The memory of all queries of a process together. An eighth of it is kept for small queries, those that hold no more
/// than a 64th: however many large ones there are, a dashboard is answered.
public final class SharedQueryBudget: Sendable {
    public let maximumBytes: Int
    private let smallQueryBytes: Int
    private let inUse = Atomic<Int>(0)

    /// A budget of `maximumBytes`.
    public init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
        smallQueryBytes = maximumBytes / 64
    }

    /// What is taken now.
    public var bytesInUse: Int { inUse.load(ordering: .relaxed) }

    /// Takes `bytes` for a query that holds `held` with them; false, and nothing taken, when there are not so many
    /// left.
    func take(_ bytes: Int, held: Int) -> Bool {
        let limit = held <= smallQueryBytes ? maximumBytes : maximumBytes - maximumBytes / 8
        if inUse.add(bytes, ordering: .relaxed).newValue <= limit { return true }
        inUse.subtract(bytes, ordering: .relaxed)
        return false
    }

    func release(_ bytes: Int) { inUse.subtract(bytes, ordering: .relaxed) }
}

/// Travels with one query through engine and stores: cancellation, budget, warnings, statistics. Thread-safe.
public final class QueryContext: Sendable {
    /// What a query may use.
    public struct Limits: Sendable {
        /// The memory one query may hold.
        public var bytes: Int
        /// Prometheus' `--query.max-samples`: the samples it may hold at once.
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

    /// What goes out with the answer, and the place in the query it is about.
    private struct Remark: CustomStringConvertible {
        var text: String
        var place: String?

        var description: String { place.map { "\(text) \($0)" } ?? text }
    }

    private struct State {
        var statistics = QueryStatistics()
        var warnings: [Remark] = []
        var infos: [Remark] = []
        var gaps: [AnswerGap] = []
        /// Why it ends, where somebody ended it.
        var interruption: QueryInterruption?
        var tellLong: (@Sendable (QueryContext) -> Int64?)?
        var onCancel: (@Sendable () -> Void)?
    }

    /// The most warnings one answer carries; the rest is counted in the last of them.
    public static let warningsMaximum = 100

    public let limits: Limits
    /// Threads that may help; nil where the query runs on its own.
    public let parallel: (any ParallelPerforming)?
    private let clock: any MonotonicClock
    private let shared: SharedQueryBudget?
    private let isCancelled = Atomic<Bool>(false)
    private let bytesInUse = Atomic<Int>(0)
    private let bytesHighest = Atomic<Int>(0)
    /// Whether a reservation failed: the query ends, and what it gives back on the way out may be what it never got.
    private let hasOverdrawn = Atomic<Bool>(false)
    /// A point of the monotonic clock.
    private let deadlineNanoseconds: Atomic<Int64>
    private let samplesInUse = Atomic<Int>(0)
    private let samplesHighest = Atomic<Int>(0)
    private let longNanoseconds = Atomic<Int64>(.max)
    private let samplesDecoded = Atomic<Int>(0)
    private let chunksDecoded = Atomic<Int>(0)
    private let chunksSkipped = Atomic<Int>(0)
    private let bytesRead = Atomic<Int>(0)
    private let state = Mutex(State())

    /// A context for one query. What it reserves is taken from `shared` too, and given back when the context goes.
    public init(
        limits: Limits = Limits(), clock: any MonotonicClock, shared: SharedQueryBudget? = nil,
        parallel: (any ParallelPerforming)? = nil
    ) {
        self.limits = limits
        deadlineNanoseconds = Atomic(limits.deadlineNanoseconds ?? .max)
        self.clock = clock
        self.shared = shared
        self.parallel = parallel
    }

    deinit {
        shared?.release(bytesInUse.load(ordering: .relaxed))
    }

    /// Ends the query at its next check, with `reason`; the first one counts.
    public func cancel(_ reason: QueryInterruption = .cancelled) {
        let tell = state.withLock { state in
            state.interruption = state.interruption ?? reason
            isCancelled.store(true, ordering: .releasing)
            return state.onCancel.take()
        }
        tell?()
    }

    /// Calls `tell` when somebody ends the query, at once where that has happened. The last one set counts.
    public func onCancel(_ tell: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            state.onCancel = tell
            return state.interruption != nil
        }
        if isCancelled { tell() }
    }

    /// Whether the query has to end: somebody ended it, or its time is over.
    public var mustEnd: Bool {
        isCancelled.load(ordering: .relaxed)
            || clock.nowNanoseconds > deadlineNanoseconds.load(ordering: .relaxed)
    }

    /// Throws when the query was cancelled or ran out of time. Cheap: called once per chunk and per step.
    public func check() throws(QueryInterruption) {
        try throwIfCancelled()
        let deadline = deadlineNanoseconds.load(ordering: .relaxed)
        let long = longNanoseconds.load(ordering: .relaxed)
        guard deadline != .max || long != .max else { return }
        var now = clock.nowNanoseconds
        if now > long, longNanoseconds.exchange(.max, ordering: .relaxed) != .max {
            let again = state.withLock { $0.tellLong }?(self)
            // It may have been made to wait.
            try throwIfCancelled()
            now = clock.nowNanoseconds
            if let again { longNanoseconds.store(now + again, ordering: .relaxed) }
        }
        if now > deadline { throw .timedOut(milliseconds: limits.timeoutMilliseconds) }
    }

    /// Gives the query time until a point of the monotonic clock: its answer has begun, and how long it takes is up to
    /// its client.
    public func extendDeadline(toNanoseconds nanoseconds: Int64) {
        deadlineNanoseconds.store(nanoseconds, ordering: .relaxed)
    }

    private func throwIfCancelled() throws(QueryInterruption) {
        guard isCancelled.load(ordering: .acquiring) else { return }
        throw state.withLock { $0.interruption } ?? .cancelled
    }

    /// The monotonic clock of the query, for what it measures of itself.
    public var nowNanoseconds: Int64 { clock.nowNanoseconds }

    /// Calls `tell`, on a thread of the query, when it is still at work `nanoseconds` from now, and again so many
    /// nanoseconds later as it returns; nil is never. It may block, to let others go first.
    public func whenStillRunning(
        afterNanoseconds nanoseconds: Int64, _ tell: @escaping @Sendable (QueryContext) -> Int64?
    ) {
        state.withLock { $0.tellLong = tell }
        longNanoseconds.store(clock.nowNanoseconds + nanoseconds, ordering: .relaxed)
    }

    /// Takes `bytes` from the budget, and `samples` that are held in them from the limit; throws when there is not
    /// enough left, and takes nothing then. Called before the memory is asked for. Give it back with `release`.
    public func reserve(_ bytes: Int, samples: Int = 0) throws(QueryInterruption) {
        let inUse = bytesInUse.add(bytes, ordering: .relaxed).newValue
        if inUse > limits.bytes {
            bytesInUse.subtract(bytes, ordering: .relaxed)
            throw overdrawn(.overBudget(bytes: limits.bytes))
        }
        if let shared, !shared.take(bytes, held: inUse) {
            bytesInUse.subtract(bytes, ordering: .relaxed)
            throw overdrawn(.overSharedBudget(bytes: shared.maximumBytes))
        }
        if samples > 0 {
            let held = samplesInUse.add(samples, ordering: .relaxed).newValue
            if held > limits.samples {
                samplesInUse.subtract(samples, ordering: .relaxed)
                bytesInUse.subtract(bytes, ordering: .relaxed)
                shared?.release(bytes)
                throw overdrawn(.tooManySamples)
            }
            samplesHighest.max(held, ordering: .relaxed)
        }
        bytesHighest.max(inUse, ordering: .relaxed)
    }

    private func overdrawn(_ reason: QueryInterruption) -> QueryInterruption {
        hasOverdrawn.store(true, ordering: .relaxed)
        return reason
    }

    /// Gives bytes, and the samples held in them, back.
    public func release(_ bytes: Int, samples: Int = 0) {
        guard !hasOverdrawn.load(ordering: .relaxed) else { return }
        bytesInUse.subtract(bytes, ordering: .relaxed)
        shared?.release(bytes)
        if samples > 0 { samplesInUse.subtract(samples, ordering: .relaxed) }
    }

    /// The bytes reserved now.
    public var bytesHeld: Int { bytesInUse.load(ordering: .relaxed) }

    /// The bytes that may still be reserved.
    public var bytesLeft: Int { max(0, limits.bytes - bytesInUse.load(ordering: .relaxed)) }

    /// Adds to the statistics; throws when the query was cancelled.
    public func count(_ change: (inout QueryStatistics) -> Void) throws(QueryInterruption) {
        state.withLock { change(&$0.statistics) }
        try throwIfCancelled()
    }

    /// Counts a chunk whose samples were decoded, or one that its header answered for; without a lock.
    public func countChunk(samples: Int, isSkipped: Bool) {
        samplesDecoded.add(samples, ordering: .relaxed)
        if isSkipped {
            chunksSkipped.add(1, ordering: .relaxed)
        } else {
            chunksDecoded.add(1, ordering: .relaxed)
        }
    }

    /// Counts bytes of columns that were looked at; without a lock.
    public func countRead(bytes: Int) { bytesRead.add(bytes, ordering: .relaxed) }

    /// Adds a warning that goes out with the answer, once per text: said of several places, it names the last, as
    /// Prometheus does.
    public func warn(_ text: String, place: String? = nil) {
        state.withLock { QueryContext.add(Remark(text: text, place: place), to: &$0.warnings) }
    }

    /// Adds a remark that is no warning; otherwise as `warn`.
    public func inform(_ text: String, place: String? = nil) {
        state.withLock { QueryContext.add(Remark(text: text, place: place), to: &$0.infos) }
    }

    private static func add(_ remark: Remark, to remarks: inout [Remark]) {
        if let known = remarks.firstIndex(where: { $0.text == remark.text }) {
            remarks[known] = remark
        } else if remarks.count < QueryContext.warningsMaximum {
            remarks.append(remark)
        }
    }

    /// Adds a span for which the answer is not whole.
    public func report(_ gap: AnswerGap) {
        state.withLock { state in
            if state.gaps.count < QueryContext.warningsMaximum { state.gaps.append(gap) }
        }
    }

    public var statistics: QueryStatistics {
        var statistics = state.withLock { $0.statistics }
        statistics.samplesDecoded += samplesDecoded.load(ordering: .relaxed)
        statistics.chunksDecoded += chunksDecoded.load(ordering: .relaxed)
        statistics.chunksSkipped += chunksSkipped.load(ordering: .relaxed)
        statistics.bytesRead += bytesRead.load(ordering: .relaxed)
        return statistics
    }
    public var warnings: [String] { state.withLock { $0.warnings.map(\.description) } }
    public var infos: [String] { state.withLock { $0.infos.map(\.description) } }
    public var gaps: [AnswerGap] { state.withLock { $0.gaps } }
    /// The most memory the query held at once, as far as it was reserved.
    public var bytesPeak: Int { bytesHighest.load(ordering: .relaxed) }
    /// The most samples the query held at once.
    public var samplesPeak: Int { samplesHighest.load(ordering: .relaxed) }
}
