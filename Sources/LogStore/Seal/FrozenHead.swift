internal import Telemetry

/// What the next part will hold: the head as it was at one log position. New lines go into new chunks meanwhile, and
/// queries go on seeing all of it until the part has taken its place.
struct FrozenHead: Sendable {
    /// One stream's share.
    struct Stream: Sendable {
        let identifier: Int
        let labels: Labels
        let head: HeadStream
    }

    let firstPosition: UInt64
    let lastPosition: UInt64
    /// Ordered by labels.
    let streams: [Stream]
    let origins: [PartFooter.StoredOrigin]
    let deliveries: [DeliveryIdentity]
    let losses: [LogLoss]
    let headBytes: Int
    let headLines: Int
    let oldestArrivalNanoseconds: Int64?

    /// Lays the part out: what is encoded stays, chunks become blocks.
    func part(createdNanoseconds: Int64) -> PartWriter {
        var footer = PartFooter()
        footer.firstPosition = firstPosition
        footer.lastPosition = lastPosition
        footer.createdNanoseconds = createdNanoseconds
        footer.streams = streams.map(\.labels)
        footer.origins = origins
        footer.deliveries = deliveries
        footer.losses = losses
        var blocks: [(stream: Int, block: LogBlock)] = []
        for (number, stream) in streams.enumerated() {
            for block in FrozenHead.blocks(of: stream) { blocks.append((number, block)) }
        }
        return PartWriter(footer, blocks: blocks)
    }

    private static func blocks(of stream: Stream) -> [LogBlock] {
        let head = stream.head
        var blocks = head.blocks.compactMap(\.inMemory)
        var rest = head.chunks[...]
        while !rest.isEmpty {
            let count = HeadStream.chunksOfBlock(rest, isLast: true)
            blocks.append(HeadStream.encode(rest.prefix(count), of: stream.labels))
            rest = rest.dropFirst(count)
        }
        return blocks
    }
}

extension StoreState {
    /// Freezes the head; nil when there is nothing that a part would have to hold. With `evenIfEmpty`, deliveries alone
    /// are enough, so that the log can be cut behind them.
    mutating func freeze(evenIfEmpty: Bool) -> FrozenHead? {
        let isEmpty = heads.isEmpty && !losses.hasUnsealed
        guard !isEmpty || (evenIfEmpty && appliedPosition > sealedPosition) else { return nil }
        var frozen: [FrozenHead.Stream] = []
        for identifier in Array(heads.keys) {
            heads[identifier]?.close()
            guard let head = heads[identifier] else { continue }
            frozen.append(
                FrozenHead.Stream(identifier: identifier, labels: streams.labels(of: identifier), head: head))
        }
        frozen.sort { $0.labels < $1.labels }
        defer { oldestArrivalNanoseconds = nil }
        return FrozenHead(
            firstPosition: sealedPosition + 1, lastPosition: appliedPosition, streams: frozen,
            origins: deduplication.takeUnsealedOrigins(), deliveries: deduplication.deliveries,
            losses: losses.takeUnsealed(), headBytes: headBytes, headLines: headLines,
            oldestArrivalNanoseconds: oldestArrivalNanoseconds)
    }

    /// Lets the part take the place of what was frozen for it.
    mutating func commit(_ frozen: FrozenHead, _ reader: PartReader, name: PartName) {
        for stream in frozen.streams {
            heads[stream.identifier]?.removeFirst(
                blocks: stream.head.blocks.count, chunks: stream.head.chunks.count)
            if heads[stream.identifier]?.isEmpty == true { heads[stream.identifier] = nil }
        }
        headBytes -= frozen.headBytes
        headLines -= frozen.headLines
        add(reader, name: name)
        counters.sealedParts += 1
    }

    /// Takes back what could not be written; the next try includes it.
    mutating func thaw(_ frozen: FrozenHead) {
        deduplication.returnUnsealedOrigins(frozen.origins)
        losses.returnUnsealed(frozen.losses)
        oldestArrivalNanoseconds = frozen.oldestArrivalNanoseconds ?? oldestArrivalNanoseconds
        counters.sealFailures += 1
    }
}
