internal import Telemetry

/// The series of a vector, each computed when it is asked for, so that who folds them holds one at a time.
struct ColumnStream: Sendable {
    /// How many series there may be; some turn out to have no value at any step.
    let count: Int
    /// About how many samples are looked at for all of them together.
    let samples: Int
    /// Computes series `index` in a workspace, into a column whose memory is used again; false when it has no value.
    /// Every index is asked for once, in any order, on any thread.
    let fill: @Sendable (Int, Workspace, inout SeriesColumn) throws -> Bool
    /// What is reserved for series that are there already, to be given back when the stream was folded.
    private(set) var reserved = (bytes: 0, samples: 0)

    /// A stream of series that are computed.
    init(
        count: Int, samples: Int, fill: @escaping @Sendable (Int, Workspace, inout SeriesColumn) throws -> Bool
    ) {
        (self.count, self.samples, self.fill) = (count, samples, fill)
    }

    /// A stream of series that are there already.
    init(_ columns: [SeriesColumn]) {
        count = columns.count
        samples = columns.reduce(0) { $0 + $1.values.count }
        reserved = (columns.reduce(0) { $0 + $1.bytes }, samples)
        fill = { index, _, column in
            column = columns[index]
            return true
        }
    }

    /// Becomes responsible for what another stream, which it is made of, has reserved.
    mutating func takeReservation(of other: ColumnStream) { reserved = other.reserved }

    /// The stream with `change` applied to each series; it says whether a value is left.
    func map(_ change: @escaping @Sendable (inout SeriesColumn) throws -> Bool) -> ColumnStream {
        let fill = fill
        var changed = ColumnStream(count: count, samples: samples) { index, workspace, column in
            guard try fill(index, workspace, &column) else { return false }
            return try change(&column)
        }
        changed.reserved = reserved
        return changed
    }
}

/// The memory one thread works in, used again from series to series.
final class Workspace {
    var buffer = SampleBuffer()
    var followingBuffer = SampleBuffer()
    let run = SampleRun()
    var windows = FoundByTimes<WindowPlan>()
    var histogramWindows = WindowBounds()
    var lookups = FoundByTimes<LookupPlaces>()
    var innerColumn = SeriesColumn.blank
    /// The samples that each step looked at, where somebody wants to know; else empty.
    var stepSamples: [Int]
    /// What is reserved for all of this.
    private(set) var reservedBytes = 0

    /// A workspace that counts samples for `countedSteps` steps.
    init(countedSteps: Int = 0) {
        stepSamples = [Int](repeating: 0, count: countedSteps)
    }

    /// For the inner expression of a sub-query, which has steps of its own.
    private(set) lazy var inner: Workspace = {
        hasInner = true
        return Workspace()
    }()
    private var hasInner = false

    /// Sees to it that `bytes` are reserved for what grows here.
    func reserve(_ bytes: Int, in context: QueryContext) throws(QueryInterruption) {
        guard bytes > reservedBytes else { return }
        try context.reserve(bytes - reservedBytes)
        reservedBytes = bytes
    }

    /// Gives back what is reserved.
    func release(in context: QueryContext) {
        context.release(reservedBytes)
        reservedBytes = 0
        if hasInner { inner.release(in: context) }
    }
}

/// Asks now and then, by the work done, whether the query is still wanted: long loops spend what they do on it.
struct WorkMeter {
    /// Some milliseconds of work.
    private static let interval = 1 << 20
    private let context: QueryContext
    private var left = WorkMeter.interval

    init(_ context: QueryContext) {
        self.context = context
    }

    /// Adds `work` steps of a loop.
    @inline(__always)
    mutating func spend(_ work: Int) throws {
        left -= work
        guard left < 0 else { return }
        left = WorkMeter.interval
        try context.check()
    }
}
