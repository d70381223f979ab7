/// What a metric database is tuned by. Every limit has its reason beside it.
package struct MetricDatabaseOptions: Sendable {
    /// Who runs the writer and the maintenance.
    package enum Driving: Sendable {
        /// Threads of the database's own.
        case threads
        /// A test, by `drive` and `maintain`: everything happens in a fixed order.
        case manual
    }

    /// When the log of before is read back.
    package enum Reading: Sendable {
        /// Before `open` returns.
        case beforeReturning
        /// While appends are taken already; queries are answered from `whenReadBack` on.
        case besideAppends
        /// By `readBack`, in a test.
        case stepwise
    }

    package var driving = Driving.threads
    package var reading = Reading.beforeReturning
    /// What the head may hold before it is sealed early; above twice of it, appends are refused as overload.
    package var headBytes = 256 << 20
    /// Two hours at 15 s, eight minutes at 1 s: the shortest chunk that compresses well.
    package var rowsPerChunk = 480
    /// The fullest group waits for a few rows more, so that all groups of one interval are full when it is sealed.
    var rowsOfFullGroup: Int { rowsPerChunk + rowsPerChunk / 60 }
    /// A group with this many rows is sealed along with one that is full, so that groups fall into step and blocks
    /// stay few.
    package var rowsSealedAlong = 360
    /// A group that never fills is sealed when its first row came this long ago, so that it does not hold the log for
    /// ever.
    package var headAgeMilliseconds: Int64 = 9_000_000
    /// Above this the groups are sealed whatever they hold, so that a restart stays short; on a small disk earlier.
    package var logBytes: UInt64 = 512 << 20
    /// Samples further ahead of the wall clock are refused: one wrong clock must not hide everybody's present.
    package var aheadMilliseconds: Int64 = 600_000
    /// Samples further behind the newest of their target are filled in for the past: they go to blocks of their own.
    package var behindMilliseconds: Int64 = 1_800_000
    /// Samples older than this are refused, as they would be dropped at once, until `enforceRetention` says another
    /// figure; 0 for no limit.
    package var retentionMilliseconds: Int64 = 0
    /// So many exemplars are kept, the newest; 0 for none.
    package var exemplarsMaximum = 100_000
    /// More series in the head at once are refused by name; 0 for no limit.
    package var seriesMaximum = 5_000_000
    /// More series of one target are refused by name, so that one that runs wild leaves room for the others; 0 for no
    /// limit.
    package var seriesPerTargetMaximum = 0
    /// More series of one metric name are refused; 0 for no limit.
    package var seriesPerMetricMaximum = 0
    /// The oldest blocks go when all of them take more than this; 0 for no limit.
    package var retentionBytes: UInt64 = 0
    /// Names, values and lengths of one series together.
    package var labelBytesMaximum = 32 << 10
    /// More metrics than this have no metadata.
    package var metadataMaximum = 100_000
    /// Pages and strip headers kept in memory for queries.
    package var pageCacheBytes = 64 << 20
    /// Label indexes of blocks kept in memory.
    package var indexCacheBytes = 256 << 20
    /// So many neighbouring blocks of one size class are merged into one.
    package var blocksPerMerge = 8
    /// Blocks are not merged beyond this span of time, so that retention can drop them.
    package var mergedMilliseconds: Int64 = 172_800_000
    /// Blocks are not merged beyond this size.
    package var mergedBytes: UInt64 = 1 << 30
    /// Set aside for the work that frees space when the disk is full; an eighth of a smaller disk.
    package var reserveBytes: UInt64 = 32 << 20
    /// The reserve is set aside when less than this is free.
    package var scarceBytes: UInt64 = 1 << 30
    /// The log is preallocated in steps of this.
    package var logGrowthBytes: UInt64 = 64 << 10
    /// A segment of the log, before it is fitted to the disk.
    package var segmentBytes: UInt64 = 64 << 20
    /// Random numbers for the salts of files; a test gives its own to be repeatable.
    package var salt: @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }

    /// The defaults, for one server on one disk.
    package init() {}
}

/// What makes a request to the database wrong, in words for the one who made it.
package struct MetricDatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What happened, where, what was kept, what to do.
    package let description: String

    /// An error of these words.
    init(_ description: String) {
        self.description = description
    }
}
