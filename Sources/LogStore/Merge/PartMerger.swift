internal import Telemetry

/// Puts neighbouring parts into one: small blocks of a stream are joined and compressed harder, deleted lines are left
/// out for good. Reads its inputs and writes nothing.
struct PartMerger {
    /// Neighbours, in log order.
    let parts: [OpenPart]
    let deletions: [Deletion]
    /// The source whose lines are left out and told as lost; nil for none.
    var trimmed: LineSource?
    /// Whether nobody needs the part any more.
    var isCancelled: () -> Bool = { false }

    /// The words of losses for lines that were left out.
    static let trimReason =
        "removed before their time: their source takes more than its share of the room for logs (logs_source_share)"

    /// zstd's level for blocks that are written again: they stay.
    static let level = 6

    /// One stream's lines that wait for their block.
    private struct Pending {
        let labels: Labels
        var columns = LineColumns()
        var firstPosition = UInt64.max
        var lastPosition: UInt64 = 0
        var lastArrivalNanoseconds = Int64.min

        mutating func takeBlock() -> LogBlock? {
            defer { self = Pending(labels: labels) }
            guard columns.count > 0 else { return nil }
            return LogBlock(
                encoding: columns, of: labels, firstPosition: firstPosition, lastPosition: lastPosition,
                lastArrivalNanoseconds: lastArrivalNanoseconds, level: PartMerger.level)
        }
    }

    /// The part that says what `parts` say. Throws when a block cannot be read: then they stay as they are.
    func part() throws -> PartWriter {
        var footer = PartFooter()
        footer.firstPosition = parts.first?.name.firstPosition ?? 0
        footer.lastPosition = parts.last?.name.lastPosition ?? 0
        footer.createdNanoseconds = parts.map(\.reader.footer.createdNanoseconds).max() ?? 0
        footer.deliveries = parts.last?.reader.footer.deliveries ?? []
        footer.origins = origins()
        var known = Set<LogLoss>()
        footer.losses = parts.flatMap(\.reader.footer.losses).filter { known.insert($0).inserted }
        var blocks: [(stream: Int, block: LogBlock)] = []
        for labels in Set(parts.flatMap(\.reader.footer.streams)).sorted() {
            if let trimmed, LineSource(labels) == trimmed {
                if let loss = loss(of: labels), known.insert(loss).inserted { footer.losses.append(loss) }
                continue
            }
            let merged = try self.blocks(of: labels)
            if merged.isEmpty { continue }
            for block in merged { blocks.append((footer.streams.count, block)) }
            footer.streams.append(labels)
        }
        return PartWriter(footer, blocks: blocks)
    }

    /// What is told instead of the lines of a stream; nil when it has none here.
    private func loss(of labels: Labels) -> LogLoss? {
        var loss = LogLoss(
            labels: labels, origin: nil, range: LogTimeRange(startNanoseconds: .max, endNanoseconds: .min), lines: 0,
            bytes: 0, reason: PartMerger.trimReason)
        for part in parts {
            guard let stream = part.reader.footer.streams.firstIndex(of: labels) else { continue }
            for block in part.reader.footer.blocks[part.reader.blockRanges[stream]] {
                let end = block.lastNanoseconds == .max ? .max : block.lastNanoseconds + 1
                loss.range.startNanoseconds = min(loss.range.startNanoseconds, block.firstNanoseconds)
                loss.range.endNanoseconds = max(loss.range.endNanoseconds, end)
                loss.lines += block.lines
                loss.bytes += block.rawBytes
            }
        }
        return loss.lines > 0 ? loss : nil
    }

    /// What is stored of each origin, in all parts.
    private func origins() -> [PartFooter.StoredOrigin] {
        var order: [LogOrigin] = []
        var merged: [LogOrigin: PartFooter.StoredOrigin] = [:]
        for stored in parts.flatMap(\.reader.footer.origins) {
            guard var known = merged[stored.origin] else {
                order.append(stored.origin)
                merged[stored.origin] = stored
                continue
            }
            known.intervals.formUnion(stored.intervals)
            known.newestNanoseconds = max(known.newestNanoseconds, stored.newestNanoseconds)
            merged[stored.origin] = known
        }
        return order.compactMap { merged[$0] }
    }

    private func blocks(of labels: Labels) throws -> [LogBlock] {
        var blocks: [LogBlock] = []
        var pending = Pending(labels: labels)
        for part in parts {
            guard let stream = part.reader.footer.streams.firstIndex(of: labels) else { continue }
            let deleted =
                deletions
                .filter { $0.position >= part.name.lastPosition && $0.matches(labels) }.map(\.range)
            for summary in part.reader.footer.blocks[part.reader.blockRanges[stream]] {
                if isCancelled() { throw MergeCancelled() }
                let block = StoredBlock(part.reader, summary)
                let touched = deleted.filter {
                    $0.overlaps(first: summary.firstNanoseconds, last: summary.lastNanoseconds)
                }
                let isLarge =
                    summary.lines * 2 > BlockSummary.linesMaximum || summary.rawBytes * 2 > BlockSummary.rawBytesMaximum
                if isLarge, touched.isEmpty {
                    if let before = pending.takeBlock() { blocks.append(before) }
                    blocks.append(try block.copy())
                    continue
                }
                var columns = try block.columns()
                if !touched.isEmpty {
                    let times = columns.timesNanoseconds
                    columns = columns.keeping(
                        times.indices.filter { line in
                            !touched.contains { $0.contains(times[line]) }
                        })
                }
                if columns.count == 0 { continue }
                let isFull =
                    pending.columns.count + columns.count > BlockSummary.linesMaximum
                    || pending.columns.bytes.count + columns.bytes.count > BlockSummary.rawBytesMaximum
                if isFull, let before = pending.takeBlock() { blocks.append(before) }
                pending.columns.append(columns)
                pending.firstPosition = min(pending.firstPosition, summary.firstPosition)
                pending.lastPosition = max(pending.lastPosition, summary.lastPosition)
                pending.lastArrivalNanoseconds = max(pending.lastArrivalNanoseconds, summary.lastArrivalNanoseconds)
            }
        }
        if let last = pending.takeBlock() { blocks.append(last) }
        return blocks
    }
}

/// The store closes, and a merge is given up.
struct MergeCancelled: Error {}
