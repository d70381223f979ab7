internal import Telemetry

/// What a query may have to look at, as it was at one moment: parts, head, deletions. Later changes do not touch it.
struct QueryCatalog {
    /// One selected stream.
    struct Stream {
        let identifier: Int
        let labels: Labels
        let head: HeadStream?
        /// Which of the store's deletions concern it.
        let deletions: [Deletion]
    }

    /// Ordered by labels.
    let streams: [Stream]
    let parts: [OpenPart]
    /// What of the request's range is served: the retention cuts it.
    let range: LogTimeRange
    private let ranks: [Int: Int]

    /// A moment of the store.
    init(streams: [Stream], parts: [OpenPart], range: LogTimeRange) {
        self.streams = streams.sorted { $0.labels < $1.labels }
        self.parts = parts
        self.range = range
        var ranks: [Int: Int] = [:]
        for (rank, stream) in self.streams.enumerated() { ranks[stream.identifier] = rank }
        self.ranks = ranks
    }

    /// The labels by identifier.
    var labels: [Int: Labels] {
        Dictionary(uniqueKeysWithValues: streams.map { ($0.identifier, $0.labels) })
    }

    /// About how many runs there are, for a list of them.
    var runsBound: Int {
        min(4096, parts.reduce(streams.count) { $0 + $1.reader.footer.blocks.count })
    }

    /// Calls `body` with every run that may hold a line of the range, in order of arrival within a stream, and the
    /// rank of its stream. Returns how many runs were ruled out by their time.
    func forEachRun(_ body: (LineRun, _ rank: Int) throws -> Void) rethrows -> Int {
        var skipped = 0
        var order = 0
        for part in parts where range.overlaps(first: part.reader.span.lowerBound, last: part.reader.span.upperBound) {
            for (local, identifier) in part.streamIdentifiers.enumerated() {
                guard let rank = ranks[identifier] else { continue }
                let deleted = streams[rank].deletions
                    .filter { $0.position >= part.name.lastPosition }.map(\.range)
                for index in part.reader.blockRanges[local] {
                    let summary = part.reader.footer.blocks[index]
                    guard range.overlaps(first: summary.firstNanoseconds, last: summary.lastNanoseconds) else {
                        skipped += 1
                        continue
                    }
                    let block = StoredBlock(part.reader, summary)
                    order += 1
                    let run = LineRun(
                        stream: identifier, labels: streams[rank].labels, order: order, content: .block(block),
                        deleted: deleted)
                    try body(run, rank)
                }
            }
        }
        for (rank, stream) in streams.enumerated() {
            guard let head = stream.head else { continue }
            let contents =
                head.blocks.map { LineRun.Content.block($0) } + head.chunks.map { LineRun.Content.chunk($0) }
            for content in contents {
                order += 1
                let run = LineRun(
                    stream: stream.identifier, labels: stream.labels, order: order, content: content, deleted: [])
                guard run.lines > 0, range.overlaps(first: run.firstNanoseconds, last: run.lastNanoseconds) else {
                    skipped += 1
                    continue
                }
                try body(run, rank)
            }
        }
        return skipped
    }
}

extension StoreState {
    /// What is stored of the streams `selected` of `index`, as of now; without their parts up to the position `after`,
    /// and without the head where only parts matter.
    func catalog(
        _ selected: [Int], of index: StreamIndex, range: LogTimeRange, deletions: [Deletion] = [], after: UInt64 = 0,
        withHead: Bool = true
    ) -> QueryCatalog {
        let streams = selected.map { identifier in
            let labels = index.labels(of: identifier)
            return QueryCatalog.Stream(
                identifier: identifier, labels: labels, head: withHead ? heads[identifier] : nil,
                deletions: deletions.filter { $0.matches(labels) })
        }
        return QueryCatalog(
            streams: streams, parts: after == 0 ? parts : parts.filter { $0.name.lastPosition > after }, range: range)
    }
}
