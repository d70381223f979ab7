/// One line filter: a line passes when any alternative is found (or, negated, when none is).
public struct LinePredicate: Hashable, Sendable {
    /// How an alternative is looked for.
    public enum Kind: Hashable, Sendable {
        case contains
        case matchesRegex
        /// LogQL's `|>`: literal pieces with `<_>` between them.
        case matchesPattern
        /// LogQL's `ip("…")`: an address, a range or a CIDR.
        case containsAddress
    }

    public var kind: Kind
    /// The texts or expressions, joined by "or".
    public var alternatives: [String]
    public var isNegated: Bool
    public var foldsCase: Bool

    /// A line filter.
    public init(_ kind: Kind, _ alternatives: [String], isNegated: Bool = false, foldsCase: Bool = false) {
        self.kind = kind
        self.alternatives = alternatives
        self.isNegated = isNegated
        self.foldsCase = foldsCase
    }
}

/// A comparison with a field that a parser takes from the line, or with structured metadata.
public struct FieldPredicate: Hashable, Sendable {
    /// How the field's value is compared. Numbers, durations and byte sizes compare as numbers.
    public enum Comparison: String, Hashable, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case matchesRegex = "=~"
        case notMatchesRegex = "!~"
    }

    public var field: String
    public var comparison: Comparison
    /// The right side as it was written.
    public var value: String
    /// Its value as a plain number (seconds for durations, bytes for sizes); nil for a comparison of text.
    public var number: Double?

    /// A comparison of `field`.
    public init(_ field: String, _ comparison: Comparison, _ value: String, number: Double? = nil) {
        self.field = field
        self.comparison = comparison
        self.value = value
        self.number = number
    }
}

/// The part of a LogQL plan that a store may do itself, in pipeline order: severities and line predicates, parser,
/// field predicates.
/// A store applies a prefix of it and says which in `LogSelection.applied`; the engine does the rest.
public struct LogPlanFragment: Sendable {
    /// A parser stage.
    public enum Parser: String, Hashable, Sendable {
        case json
        case logfmt
    }

    public var linePredicates: [LinePredicate]
    /// The severities that a line may have; nil for any. A line with a `detected_level` of its own passes in any case:
    /// whoever asks looks at its text.
    package var severities: SeveritySet?
    /// Whether lines come with their severities.
    package var wantsSeverities = false
    public var parser: Parser?
    /// The fields the rest of the plan looks at, nil for all.
    public var neededFields: [String]?
    public var fieldPredicates: [FieldPredicate]
    /// Labels that counts are grouped by, `detected_level` among them; nil for one count per stream.
    public var grouping: [String]?

    /// A fragment; the default asks for nothing but lines.
    public init(
        linePredicates: [LinePredicate] = [], parser: Parser? = nil, neededFields: [String]? = nil,
        fieldPredicates: [FieldPredicate] = [], grouping: [String]? = nil
    ) {
        self.linePredicates = linePredicates
        self.parser = parser
        self.neededFields = neededFields
        self.fieldPredicates = fieldPredicates
        self.grouping = grouping
    }
}

/// Which way a query walks through time.
public enum LogDirection: String, Sendable {
    case forward
    case backward
}

/// A request for lines.
public struct LogRequest: Sendable {
    public var matchers: [LabelMatcher]
    public var range: LogTimeRange
    public var fragment: LogPlanFragment
    public var direction: LogDirection
    /// How many lines the engine will take if the whole fragment can be applied; 0 for all. A hint for read-ahead.
    public var limit: Int
    /// Whether `counts` is asked for bytes, too. Lines are counted without being rebuilt, but measuring them takes all
    /// their columns: leave this out where only numbers of lines are wanted; `LogCounts.bytes` may then be anything.
    public var countsBytes: Bool

    /// A request.
    public init(
        matchers: [LabelMatcher], range: LogTimeRange, fragment: LogPlanFragment = LogPlanFragment(),
        direction: LogDirection = .forward, limit: Int = 0, countsBytes: Bool = true
    ) {
        self.countsBytes = countsBytes
        self.matchers = matchers
        self.range = range
        self.fragment = fragment
        self.direction = direction
        self.limit = limit
    }
}

/// Which steps of a fragment a store did.
public struct AppliedSteps: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let linePredicates = AppliedSteps(rawValue: 1)
    public static let parser = AppliedSteps(rawValue: 2)
    public static let fieldPredicates = AppliedSteps(rawValue: 4)
    public static let grouping = AppliedSteps(rawValue: 8)
    public static let severities = AppliedSteps(rawValue: 16)
}

/// A run of lines, possibly of several streams, in columns that are reused from run to run.
///
/// Shape: one element per line in `streamIndexes` (into `streams`), `timesNanoseconds`, `lineEnds` and
/// `metadataIndexes` (into `metadata`, -1 for none). `streams` and `metadata` only grow while a cursor lives.
public struct LogLineBuffer: Sendable {
    public var streams: [Labels] = []
    public var metadata: [Labels] = []
    public var streamIndexes: [Int32] = []
    public var metadataIndexes: [Int32] = []
    public var timesNanoseconds: [Int64] = []
    public var lineEnds: [Int] = []
    public var bytes: [UInt8] = []
    /// What is stored of each line's severity (`LineSeverity`); empty where nobody asked for it.
    public var severities: [UInt8] = []

    /// An empty buffer.
    public init() {}

    /// The number of lines.
    public var count: Int { timesNanoseconds.count }

    /// The bytes of line `index`.
    public func line(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : lineEnds[index - 1])..<lineEnds[index]]
    }

    /// Adds a line.
    public mutating func append(stream: Int32, nanoseconds: Int64, line: some Sequence<UInt8>, metadata: Int32 = -1) {
        streamIndexes.append(stream)
        metadataIndexes.append(metadata)
        timesNanoseconds.append(nanoseconds)
        bytes.append(contentsOf: line)
        lineEnds.append(bytes.count)
    }

    /// Empties the lines and keeps streams, metadata and memory.
    public mutating func removeLines() {
        streamIndexes.removeAll(keepingCapacity: true)
        metadataIndexes.removeAll(keepingCapacity: true)
        timesNanoseconds.removeAll(keepingCapacity: true)
        lineEnds.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        severities.removeAll(keepingCapacity: true)
    }
}

/// Lines in time order (the request's direction) over all streams; equal times keep the order of arrival within a
/// stream. Used by one thread, may read from disk.
public protocol LogCursor: AnyObject {
    /// Fills `buffer` with the next run of lines; false at the end.
    func next(into buffer: inout LogLineBuffer) throws -> Bool
}

/// An opened request.
public struct LogSelection {
    public var cursor: any LogCursor
    /// What needs not be done again.
    public var applied: AppliedSteps

    /// A cursor and what it applies.
    public init(cursor: any LogCursor, applied: AppliedSteps) {
        self.cursor = cursor
        self.applied = applied
    }
}

/// Counts of one group of lines per bucket of time.
public struct LogCounts: Sendable {
    public var labels: Labels
    /// One element per bucket: bucket i covers (start + i * width) ..< (start + (i + 1) * width).
    public var lines: [Int]
    /// The bytes of those lines.
    public var bytes: [Int]

    /// Counts of one group.
    public init(labels: Labels, lines: [Int], bytes: [Int]) {
        self.labels = labels
        self.lines = lines
        self.bytes = bytes
    }
}

/// A place in the order of arrival, from which a tail can be resumed; survives restarts.
public struct TailPosition: Hashable, Sendable {
    public var rawValue: UInt64

    /// Wraps a number that the store gave out.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// What a tail delivers.
public enum TailEvent: Sendable {
    /// Lines in order of arrival, and the position behind them.
    case lines(LogLineBuffer, next: TailPosition)
    /// The reader was too slow or resumed too late: these lines can be fetched by a query over `range`.
    case missed(lines: Int, range: LogTimeRange, next: TailPosition)
}

/// A running tail. Ends when it is let go of.
public protocol LogSubscription: AnyObject, Sendable {
    /// Waits for the next event; nil when the store closes. Throws `CancellationError` when its task is cancelled.
    func next() async throws -> TailEvent?
}

/// Port: answers which lines had this text, when. All but `subscribe` are called on query threads: they read disk.
public protocol LogSource: Sendable {
    /// Opens a request. Damage met on the way is a gap or a warning in `context`, not an error.
    func select(_ request: LogRequest, in context: QueryContext) throws -> LogSelection
    /// Counts lines per bucket without rebuilding them; nil when the fragment cannot be answered that way.
    func counts(_ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext) throws -> [LogCounts]?
    /// The labels of the streams with a line in the range, ordered.
    func streams(_ request: LogRequest, in context: QueryContext) throws -> [Labels]
    /// The names of all labels of those streams, ordered.
    func labelNames(_ request: LogRequest, in context: QueryContext) throws -> [String]
    /// The values of one label among those streams, ordered.
    func labelValues(_ name: String, _ request: LogRequest, in context: QueryContext) throws -> [String]
    /// Follows new lines that satisfy the matchers and line predicates; from now on, or from a position.
    func subscribe(_ request: LogRequest, from position: TailPosition?) throws -> any LogSubscription
}

/// How many lines of one pattern there were: lines that differ only in what varies from line to line.
public struct LogPatternCounts: Sendable {
    /// The text that all of them share, with `<_>` for what varies.
    public var pattern: String
    /// One element per bucket, as in `LogCounts`; exact, not sampled.
    public var lines: [Int]
    /// One of the lines, byte for byte: the oldest that was met first.
    public var example: [UInt8]
    public var exampleNanoseconds: Int64
    /// The labels of the example's stream.
    public var exampleLabels: Labels

    /// Counts of one pattern.
    public init(
        pattern: String, lines: [Int], example: [UInt8], exampleNanoseconds: Int64, exampleLabels: Labels
    ) {
        self.pattern = pattern
        self.lines = lines
        self.example = example
        self.exampleNanoseconds = exampleNanoseconds
        self.exampleLabels = exampleLabels
    }

    /// The lines of all buckets.
    public var total: Int { lines.reduce(0, +) }
}

/// Port: which patterns the lines of a range have, and how often. A store that keeps lines as templates counts them
/// without rebuilding a line. Called on query threads.
public protocol LogPatternSource: Sendable {
    /// Counts lines that satisfy matchers, range, severities and line predicates per pattern and bucket, the most
    /// frequent pattern first; nil where only the lines themselves tell. Throws `LogPatternError` when there are more
    /// buckets or patterns than one answer holds.
    func patterns(
        _ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext
    ) throws -> [LogPatternCounts]?
}

/// Why patterns cannot be counted.
public enum LogPatternError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooManyBuckets
    case unsupported(String)

    public var description: String {
        switch self {
        case .tooManyBuckets: "too many buckets of time; ask for a larger step or a shorter range"
        case .unsupported(let what): "patterns cannot be counted behind \(what); leave it out"
        }
    }
}
