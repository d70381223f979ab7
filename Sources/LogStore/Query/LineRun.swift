internal import Telemetry

/// A run of lines of one stream that a query may have to look at: a block of a part, a block waiting for its part, or a
/// chunk of the head. What is known of it without reading decides whether it is read at all.
struct LineRun: Sendable {
    /// Where the lines are.
    enum Content: Sendable {
        case chunk(HeadChunk)
        case block(StoredBlock)
    }

    /// The stream's identifier in this process.
    let stream: Int
    /// Rises with the order of arrival among the runs of one stream.
    let order: Int
    let content: Content
    /// Spans of time that were deleted of this run.
    let deleted: [LogTimeRange]

    /// The first nanosecond of a line.
    var firstNanoseconds: Int64 {
        switch content {
        case .chunk(let chunk): chunk.firstNanoseconds
        case .block(let block): block.summary.firstNanoseconds
        }
    }

    /// The last nanosecond of a line.
    var lastNanoseconds: Int64 {
        switch content {
        case .chunk(let chunk): chunk.lastNanoseconds
        case .block(let block): block.summary.lastNanoseconds
        }
    }

    /// The log position of the first batch with a line.
    var firstPosition: UInt64 {
        switch content {
        case .chunk(let chunk): chunk.firstPosition
        case .block(let block): block.summary.firstPosition
        }
    }

    /// The log position of the last batch with a line.
    var lastPosition: UInt64 {
        switch content {
        case .chunk(let chunk): chunk.lastPosition
        case .block(let block): block.summary.lastPosition
        }
    }

    /// The number of lines.
    var lines: Int {
        switch content {
        case .chunk(let chunk): chunk.columns.count
        case .block(let block): block.summary.lines
        }
    }

    /// The bytes of the lines.
    var rawBytes: Int {
        switch content {
        case .chunk(let chunk): chunk.columns.bytes.count
        case .block(let block): block.summary.rawBytes
        }
    }

    /// Whether a line has structured metadata.
    var hasMetadata: Bool {
        switch content {
        case .chunk(let chunk): !chunk.columns.metadata.isEmpty
        case .block(let block): block.summary.hasMetadata
        }
    }

    /// Whether all its lines lie within `range` and none was deleted.
    func isWhole(within range: LogTimeRange) -> Bool {
        deleted.isEmpty && range.contains(firstNanoseconds) && range.contains(lastNanoseconds)
    }

    /// Whether the line at `nanoseconds` is asked for and not deleted.
    func includes(_ nanoseconds: Int64, of range: LogTimeRange) -> Bool {
        range.contains(nanoseconds) && !deleted.contains { $0.contains(nanoseconds) }
    }
}

/// The lines of a run that a query asks for, opened step by step so that what rules lines out comes before what costs.
struct OpenRun {
    let times: [Int64]
    let lineEnds: [Int]
    let bytes: [UInt8]
    /// Ordered by line.
    let metadata: [LogLineMetadata]
    /// The lines that are in range and pass the filter, rising.
    let selected: [Int32]

    /// Opens a run; nil when no line of it is asked for. Throws `FormatError` or `StorageError` when it is damaged.
    init?(_ run: LineRun, range: LogTimeRange, filter: LineFilter, context: QueryContext) throws {
        switch run.content {
        case .chunk(let chunk):
            let columns = chunk.isSorted ? chunk.columns : chunk.columns.sorted()
            times = columns.timesNanoseconds
            lineEnds = columns.lineEnds
            bytes = columns.bytes
            metadata = columns.metadata
        case .block(let block):
            guard let opened = try OpenRun.read(block, filter: filter, context: context) else { return nil }
            (times, lineEnds, bytes) = opened
            metadata = OpenRun.readMetadata(block, context: context)
        }
        selected = OpenRun.select(run, times: times, lineEnds: lineEnds, bytes: bytes, range: range, filter: filter)
        let scanned = times.count
        let matched = selected.count
        try context.count {
            $0.linesScanned += scanned
            $0.linesMatched += matched
        }
        if selected.isEmpty { return nil }
    }

    /// Restores a block, the line bytes first: where no line can pass, nothing else is restored.
    private static func read(
        _ block: StoredBlock, filter: LineFilter, context: QueryContext
    ) throws -> (times: [Int64], lineEnds: [Int], bytes: [UInt8])? {
        let bytes = try block.lineBytes()
        let isRuledOut = !filter.isEmpty && !bytes.withUnsafeBytes { filter.mayMatch($0) }
        try context.count {
            if block.isInPart { $0.bytesRead += block.summary.storedBytes }
            if isRuledOut {
                $0.blocksSkipped += 1
                $0.linesScanned += block.summary.lines
            } else {
                $0.blocksRead += 1
            }
        }
        return isRuledOut ? nil : (try block.times(), try block.lineEnds(), bytes)
    }

    /// Lines without their metadata are better than none: damage in this column alone is a warning.
    private static func readMetadata(_ block: StoredBlock, context: QueryContext) -> [LogLineMetadata] {
        do {
            return try block.metadata()
        } catch {
            context.warn(
                "structured metadata is missing: the block at byte \(block.summary.offset) of \(block.path) "
                    + "is damaged: \(error)")
            return []
        }
    }

    /// The lines of sorted columns that are asked for and pass, rising.
    static func select(
        _ run: LineRun, times: [Int64], lineEnds: [Int], bytes: [UInt8], range: LogTimeRange, filter: LineFilter
    ) -> [Int32] {
        let lower = firstIndex(of: times, atOrAfter: range.startNanoseconds)
        let upper = firstIndex(of: times, atOrAfter: range.endNanoseconds)
        guard lower < upper else { return [] }
        var selected =
            filter.isEmpty
            ? (lower..<upper).map { Int32($0) }
            : bytes.withUnsafeBytes { filter.select($0, ends: lineEnds, range: lower..<upper) }
        if !run.deleted.isEmpty { selected.removeAll { !run.includes(times[Int($0)], of: range) } }
        return selected
    }

    private static func firstIndex(of times: [Int64], atOrAfter nanoseconds: Int64) -> Int {
        var low = 0
        var high = times.count
        while low < high {
            let middle = (low + high) / 2
            if times[middle] < nanoseconds { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
