internal import Telemetry

/// Lines of one stream that came one after another. Closed when it is full, so that a query may hold it without a later
/// line copying more than one chunk.
struct HeadChunk: Sendable {
    private(set) var columns = LineColumns()
    private(set) var firstPosition: UInt64
    private(set) var lastPosition: UInt64
    private(set) var lastArrivalNanoseconds: Int64
    private(set) var firstNanoseconds = Int64.max
    private(set) var lastNanoseconds = Int64.min
    private(set) var metadataBytes = 0
    private(set) var isSorted = true

    static let bytesMaximum = 256 << 10
    static let linesMaximum = 4096

    /// An empty chunk for lines of the batch at `position`.
    init(position: UInt64, arrivalNanoseconds: Int64) {
        firstPosition = position
        lastPosition = position
        lastArrivalNanoseconds = arrivalNanoseconds
    }

    /// Whether the next line goes to another chunk.
    var isFull: Bool {
        columns.count >= HeadChunk.linesMaximum || columns.bytes.count + metadataBytes >= HeadChunk.bytesMaximum
    }

    /// How many lines from `index` of `lines` on, but not from `end` on, fit until the chunk is full.
    func room(for lines: LogLines, from index: Int, to end: Int) -> Int {
        var bytes = columns.bytes.count + metadataBytes
        var next = index
        while next < end, bytes < HeadChunk.bytesMaximum, columns.count + next - index < HeadChunk.linesMaximum {
            bytes += lines.lineEnds[next] - (next == 0 ? 0 : lines.lineEnds[next - 1])
            next += 1
        }
        return next - index
    }

    /// Adds lines of the batch at `position`.
    mutating func append(_ lines: LogLines, _ range: Range<Int>, position: UInt64, arrivalNanoseconds: Int64) {
        let metadataBefore = columns.metadata.count
        reserve(lines, range)
        for time in lines.timesNanoseconds[range] {
            if time < lastNanoseconds { isSorted = false }
            firstNanoseconds = min(firstNanoseconds, time)
            lastNanoseconds = max(lastNanoseconds, time)
        }
        columns.append(lines, range)
        for entry in columns.metadata[metadataBefore...] { metadataBytes += entry.labels.encoded.count }
        lastPosition = position
        lastArrivalNanoseconds = max(lastArrivalNanoseconds, arrivalNanoseconds)
    }

    /// Grows without overshooting: what a full chunk has reserved and does not use is memory of every stream.
    private mutating func reserve(_ lines: LogLines, _ range: Range<Int>) {
        guard let last = range.last else { return }
        let first = range.lowerBound == 0 ? 0 : lines.lineEnds[range.lowerBound - 1]
        let bytes = columns.bytes.count + lines.lineEnds[last] - first
        if bytes > columns.bytes.capacity {
            columns.bytes.reserveCapacity(max(bytes, min(bytes * 3 / 2, HeadChunk.bytesMaximum)))
        }
        let count = columns.count + range.count
        if count > columns.timesNanoseconds.capacity {
            let wanted = max(count, min(count * 3 / 2, HeadChunk.linesMaximum))
            columns.timesNanoseconds.reserveCapacity(wanted)
            columns.lineEnds.reserveCapacity(wanted)
        }
    }

    /// What the chunk counts for in the head's budget.
    var accountedBytes: Int {
        columns.bytes.count + columns.count * LineColumns.lineOverheadBytes + metadataBytes
    }
}
