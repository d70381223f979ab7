internal import Telemetry

/// What is not yet in a part of one stream: encoded blocks, then chunks, in order of arrival.
struct HeadStream: Sendable {
    private(set) var blocks: [StoredBlock] = []
    private(set) var chunks: [HeadChunk] = []
    /// Whether the last chunk takes no more lines, because it is on its way into a part.
    private var isClosed = false

    /// Whether there is nothing.
    var isEmpty: Bool { blocks.isEmpty && chunks.isEmpty }

    /// Adds lines of the batch at `position`; returns by how much the head's budget is used more.
    mutating func append(
        _ lines: LogLines, _ range: Range<Int>, position: UInt64, arrivalNanoseconds: Int64
    ) -> Int {
        var accounted = 0
        var next = range.lowerBound
        while next < range.upperBound {
            if isClosed || chunks.last?.isFull ?? true {
                isClosed = false
                chunks.append(HeadChunk(position: position, arrivalNanoseconds: arrivalNanoseconds))
            }
            let last = chunks.count - 1
            let taken = max(1, chunks[last].room(for: lines, from: next, to: range.upperBound))
            accounted -= chunks[last].accountedBytes
            chunks[last].append(
                lines, next..<next + taken, position: position, arrivalNanoseconds: arrivalNanoseconds)
            accounted += chunks[last].accountedBytes
            next += taken
        }
        return accounted
    }

    /// Whether there are chunks for a block; fewer than so many never are.
    var hasFullBlock: Bool {
        chunks.count > BlockSummary.rawBytesMaximum / HeadChunk.bytesMaximum && chunksOfFullBlock() > 0
    }

    /// How many of the first `chunks` make one full block; 0 when they do not yet.
    func chunksOfFullBlock() -> Int { HeadStream.chunksOfBlock(chunks[...], isLast: false) }

    /// How many of `chunks` from the first on go into one block. With `isLast`, what is there is enough.
    static func chunksOfBlock(_ chunks: ArraySlice<HeadChunk>, isLast: Bool) -> Int {
        var lines = 0
        var bytes = 0
        for (taken, chunk) in chunks.enumerated() {
            lines += chunk.columns.count
            bytes += chunk.columns.bytes.count + chunk.metadataBytes
            if taken > 0, lines > BlockSummary.linesMaximum || bytes > BlockSummary.rawBytesMaximum { return taken }
        }
        return isLast ? chunks.count : 0
    }

    /// Encodes chunks of the stream `labels` that go into one block.
    static func encode(_ chunks: ArraySlice<HeadChunk>, of labels: Labels) -> LogBlock {
        var columns = LineColumns()
        columns.reserveCapacity(
            lines: chunks.reduce(0) { $0 + $1.columns.count }, bytes: chunks.reduce(0) { $0 + $1.columns.bytes.count })
        var arrival = Int64.min
        for chunk in chunks {
            columns.append(chunk.columns)
            arrival = max(arrival, chunk.lastArrivalNanoseconds)
        }
        return LogBlock(
            encoding: columns, of: labels, firstPosition: chunks.first?.firstPosition ?? 0,
            lastPosition: chunks.last?.lastPosition ?? 0, lastArrivalNanoseconds: arrival)
    }

    /// Replaces the first `count` chunks by the block they were encoded to. Only the sealer calls this, and chunks are
    /// otherwise only added at the end, so the first ones are still those that were encoded.
    mutating func replaceFirstChunks(_ count: Int, by block: LogBlock) {
        chunks.removeFirst(count)
        blocks.append(StoredBlock(block))
    }

    /// Lets the next line start a new chunk, so that what is there now can be sealed.
    mutating func close() { isClosed = true }

    /// Drops what has come to lie in a part.
    mutating func removeFirst(blocks blockCount: Int, chunks chunkCount: Int) {
        blocks.removeFirst(blockCount)
        chunks.removeFirst(chunkCount)
    }
}
