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
    let labels: Labels
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

/// The lines of a run that a query asks for: selected first, rebuilt only as far as they are handed out.
struct OpenRun {
    private enum Lines {
        case columns(LineColumns)
        case block(OpenBlock)
    }

    let times: [Int64]
    /// Ordered by line.
    let metadata: [LogLineMetadata]
    /// The lines that are in range and pass the filter, rising.
    let selected: [Int32]
    private let lines: Lines

    /// Opens a run; nil when no line of it is asked for. Throws `FormatError` or `StorageError` when it is damaged.
    /// Without a search its lines were selected before.
    init?(_ run: LineRun, range: LogTimeRange, search: BlockSearch?, context: QueryContext, blocks: BlockCache) throws {
        switch run.content {
        case .chunk(let chunk):
            let columns = chunk.isSorted ? chunk.columns : chunk.columns.sorted()
            times = columns.timesNanoseconds
            metadata = columns.metadata
            lines = .columns(columns)
            selected = search.map { OpenRun.select(run, columns, range: range, search: $0) } ?? []
        case .block(let block):
            guard let search else {
                let open = try blocks.open(block)
                lines = .block(open)
                times = try open.times()
                metadata = OpenRun.readMetadata(block, context: context)
                selected = []
                return
            }
            guard let (open, found) = try OpenRun.select(run, block, range, search, context, blocks) else { return nil }
            lines = .block(open)
            selected = found
            times = found.isEmpty ? [] : try open.times()
            metadata = found.isEmpty ? [] : OpenRun.readMetadata(block, context: context)
        }
        guard search != nil else { return }
        let (scanned, matched) = (run.lines, selected.count)
        try context.count {
            $0.linesScanned += scanned
            $0.linesMatched += matched
        }
        if selected.isEmpty { return nil }
    }

    /// Rebuilds lines, `wanted` rising.
    func rebuild(_ wanted: ArraySlice<Int32>) throws -> (bytes: [UInt8], ends: [Int]) {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        ends.reserveCapacity(wanted.count)
        switch lines {
        case .columns(let columns):
            for line in wanted {
                bytes.append(contentsOf: columns.bytes[columns.lineStart(Int(line))..<columns.lineEnds[Int(line)]])
                ends.append(bytes.count)
            }
        case .block(let block): try block.complete().append(wanted, to: &bytes, ends: &ends)
        }
        return (bytes, ends)
    }

    /// The lines of a block that are asked for; nil when the block was ruled out.
    static func select(
        _ run: LineRun, _ block: StoredBlock, _ range: LogTimeRange, _ search: BlockSearch, _ context: QueryContext,
        _ blocks: BlockCache
    ) throws -> (OpenBlock, [Int32])? {
        if let obstacle = search.obstacle(block, blocks) {
            try context.count {
                $0.blocksSkipped += 1
                $0.skipped[keyPath: obstacle] += 1
                $0.linesScanned += block.summary.lines
            }
            return nil
        }
        let (open, wasRead) = try blocks.opened(block)
        try context.count {
            $0.blocksRead += 1
            if wasRead { $0.bytesRead += block.summary.storedBytes }
        }
        let isWhole = run.isWhole(within: range)
        var wanted = 0..<block.summary.lines
        if !isWhole {
            let times = try open.times()
            let lower = firstIndex(of: times, atOrAfter: range.startNanoseconds)
            let upper = firstIndex(of: times, atOrAfter: range.endNanoseconds)
            guard lower < upper else { return (open, []) }
            wanted = lower..<upper
        }
        var selected = try search.select(open, wanted, of: block, labels: run.labels)
        if let obstacle = search.settledBy { try context.count { $0.skipped[keyPath: obstacle] += 1 } }
        if !run.deleted.isEmpty, !selected.isEmpty {
            let times = try open.times()
            selected.removeAll { !run.includes(times[Int($0)], of: range) }
        }
        return (open, selected)
    }

    /// The severities of lines, `wanted` rising.
    func severities(_ wanted: ArraySlice<Int32>, of run: LineRun) throws -> [UInt8] {
        switch (lines, run.content) {
        case (.columns(let columns), _):
            var found: [UInt8] = []
            LineSeverities.forEach(of: columns, lines: wanted, labels: run.labels) { found.append($1) }
            return found
        case (.block(let open), .block(let stored)):
            let numbers = try LineSeverities.numbers(of: open, stored: stored, labels: run.labels)
            return wanted.map { numbers[Int($0)] }
        case (.block, .chunk): return []
        }
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
        _ run: LineRun, _ columns: LineColumns, range: LogTimeRange, search: BlockSearch
    ) -> [Int32] {
        let filter = search.filter
        let times = columns.timesNanoseconds
        let lower = firstIndex(of: times, atOrAfter: range.startNanoseconds)
        let upper = firstIndex(of: times, atOrAfter: range.endNanoseconds)
        guard lower < upper else { return [] }
        var selected =
            filter.isEmpty
            ? (lower..<upper).map { Int32($0) }
            : columns.bytes.withUnsafeBytes { filter.select($0, ends: columns.lineEnds, range: lower..<upper) }
        if !run.deleted.isEmpty { selected.removeAll { !run.includes(times[Int($0)], of: range) } }
        if search.severities != nil, !selected.isEmpty {
            var kept: [Int32] = []
            LineSeverities.forEach(of: columns, lines: selected, labels: run.labels) { line, number in
                if search.wants(number) { kept.append(line) }
            }
            selected = kept
        }
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
