internal import Disk
internal import Synchronization
package import Telemetry

/// Answering which lines had this text, when.
extension LogDatabase: LogSource {
    package func select(_ request: LogRequest, in context: QueryContext) throws -> LogSelection {
        let filter = try LineFilter(request.fragment.linePredicates)
        let catalog = try catalog(request, context)
        var pending: [MergeCursor.Pending] = []
        pending.reserveCapacity(catalog.runsBound)
        let skipped = try catalog.forEachRun { run, rank in
            pending.append(MergeCursor.Pending(run: run, rank: rank))
            if pending.count % 4096 == 0 { try context.check() }
        }
        try context.count {
            $0.blocksSkipped += skipped
            $0.skipped.time += skipped
        }
        let isWhole = request.fragment.parser == nil && request.fragment.fieldPredicates.isEmpty
        let plan = MergePlan(
            range: catalog.range, search: BlockSearch(filter, request.fragment), blocks: blocks,
            isForward: request.direction == .forward, wantsSeverities: request.fragment.wantsSeverities,
            windows: MergeWindows(pending),
            windowLines: request.limit > 0 && isWhole ? request.limit : .max, context: context,
            report: { [weak self] error, run in self?.noteDamage(error, run, catalog.labels[run.stream], context) })
        let cursor = MergeCursor(pending, labels: catalog.labels, plan: plan, limit: request.limit)
        return LogSelection(cursor: cursor, applied: [.linePredicates, .severities])
    }

    package func counts(
        _ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext
    ) throws -> [LogCounts]? {
        guard request.fragment.parser == nil, request.fragment.fieldPredicates.isEmpty, bucketNanoseconds > 0 else {
            return nil
        }
        let filter = try LineFilter(request.fragment.linePredicates)
        let catalog = try catalog(request, context)
        guard
            var counter = LineCounter(
                request, bucketNanoseconds: bucketNanoseconds, search: BlockSearch(filter, request.fragment),
                blocks: blocks, context: context)
        else { return nil }
        let isCounted = try walk(catalog, context) { try counter.add($0, within: catalog.range) }
        return isCounted ? counter.counts : nil
    }

    package func streams(_ request: LogRequest, in context: QueryContext) throws -> [Labels] {
        let catalog = try catalog(request, context)
        var found = Set<Int>()
        var unsure: [(run: LineRun, rank: Int)] = []
        _ = catalog.forEachRun { run, rank in
            // The first or the last line in range is proof enough.
            let isProof =
                run.includes(run.firstNanoseconds, of: catalog.range)
                || run.includes(run.lastNanoseconds, of: catalog.range)
            if isProof { found.insert(rank) } else { unsure.append((run, rank)) }
        }
        for (run, rank) in unsure where !found.contains(rank) {
            try context.check()
            do {
                if try hasLine(run, in: catalog.range) { found.insert(rank) }
            } catch {
                noteDamage(error, run, catalog.streams[rank].labels, context)
            }
        }
        return found.sorted().map { catalog.streams[$0].labels }
    }

    package func labelNames(_ request: LogRequest, in context: QueryContext) throws -> [String] {
        Set(try streams(request, in: context).flatMap { $0.pairs.map(\.name) }).sorted()
    }

    package func labelValues(
        _ name: String, _ request: LogRequest, in context: QueryContext
    ) throws -> [String] {
        Set(try streams(request, in: context).compactMap { $0[name] }).sorted()
    }

    package func subscribe(_ request: LogRequest, from position: TailPosition?) throws -> any LogSubscription {
        try checkOpen()
        let matchers = request.matchers
        return TailSubscription(
            hub: hub, matchers: matchers, filter: try LineFilter(request.fragment.linePredicates),
            // A position from before a restore of the data folder may lie ahead.
            position: min(position?.rawValue ?? .max, hub.newest)
        ) { [weak self] after, through in self?.missed(matchers, after: after, through: through) }
    }
}

extension LogDatabase {
    private func hasLine(_ run: LineRun, in range: LogTimeRange) throws -> Bool {
        switch run.content {
        case .chunk(let chunk): chunk.columns.timesNanoseconds.contains { run.includes($0, of: range) }
        case .block(let block): try blocks.open(block).times().contains { run.includes($0, of: range) }
        }
    }

    /// Hands every run of a catalogue to `body` until that returns false, and returns what it returned last. What is
    /// damaged is told and passed over.
    func walk(
        _ catalog: QueryCatalog, _ context: QueryContext, _ body: (LineRun) throws -> Bool
    ) throws -> Bool {
        var goesOn = true
        let skipped = try catalog.forEachRun { run, _ in
            guard goesOn else { return }
            try context.check()
            do {
                goesOn = try body(run)
            } catch let error as QueryInterruption {
                throw error
            } catch {
                noteDamage(error, run, run.labels, context)
            }
        }
        try context.count {
            $0.blocksSkipped += skipped
            $0.skipped.time += skipped
        }
        return goesOn
    }

    /// A moment of the store for a request, and what is known to be missing from every answer to it.
    func catalog(_ request: LogRequest, _ context: QueryContext) throws -> QueryCatalog {
        try context.check()
        try checkOpen()
        // Matching can be long; the index is a value and needs no lock meanwhile.
        let index = state.withLock { $0.streams }
        let selected = index.select(request.matchers)
        let (catalog, losses, unreadable) = state.withLock { state in
            var range = request.range
            range.startNanoseconds = max(range.startNanoseconds, state.oldestNanoseconds)
            let deletions = state.deletions.filter {
                range.overlaps(first: $0.range.startNanoseconds, last: $0.range.endNanoseconds)
            }
            return (
                state.catalog(selected, of: index, range: range, deletions: deletions), state.losses.entries,
                state.unreadable
            )
        }
        report(losses, request.matchers, catalog.range, context)
        for name in unreadable { report(name, catalog.range, context) }
        let count = selected.count
        try context.count { $0.streamsSelected += count }
        return catalog
    }

    private func report(
        _ losses: Set<LogLoss>, _ matchers: [LabelMatcher], _ range: LogTimeRange, _ context: QueryContext
    ) {
        let touched = losses.filter { loss in
            let last = max(loss.range.startNanoseconds, loss.range.endNanoseconds - 1)
            return range.overlaps(first: loss.range.startNanoseconds, last: last)
                && (loss.labels.isEmpty || matchers.allSatisfy { $0.matches(loss.labels) })
        }
        for loss in touched.sorted(by: { $0.range.startNanoseconds < $1.range.startNanoseconds }) {
            let lines = loss.lines > 0 ? "\(loss.lines) lines lost: " : ""
            context.report(AnswerGap(range: loss.range, labels: loss.labels, reason: lines + loss.reason))
        }
    }

    private func report(_ unreadable: PartName, _ asked: LogTimeRange, _ context: QueryContext) {
        let range = LogTimeRange(
            startNanoseconds: unreadable.firstSecond * 1_000_000_000,
            endNanoseconds: (unreadable.lastSecond + 1) * 1_000_000_000)
        guard asked.overlaps(first: range.startNanoseconds, last: range.endNanoseconds - 1) else { return }
        let span = LogDatabase.words(range)
        context.report(
            AnswerGap(range: range, labels: .empty, reason: "the part \(unreadable.fileName) cannot be read"))
        context.warn(
            "the part \(unreadable.fileName) in \(parts.folder) cannot be read: lines of \(span) may be missing")
    }

    /// Tells the answer, the operator and the counters about a block that cannot be read.
    func noteDamage(_ error: any Error, _ run: LineRun, _ labels: Labels?, _ context: QueryContext) {
        let (first, last) = (run.firstNanoseconds, run.lastNanoseconds)
        let range = LogTimeRange(startNanoseconds: first, endNanoseconds: last == .max ? last : last + 1)
        guard case .block(let block) = run.content else { return }
        let reason = LogDatabase.words(error, block, labels ?? .empty)
        context.report(AnswerGap(range: range, labels: labels ?? .empty, reason: reason))
        context.warn(reason)
        keepDamage(reason, of: block)
    }

    /// Tells the operator and the counters about a block that a look at all parts found damaged.
    func noteDamage(_ error: any Error, of summary: BlockSummary, in part: OpenPart) {
        let block = StoredBlock(part.reader, summary)
        keepDamage(LogDatabase.words(error, block, part.reader.footer.streams[summary.stream]), of: block)
    }

    /// Tells the operator about damage that costs no line.
    func noteBlemish(_ words: String, of part: OpenPart) {
        let entry = PartFile.blemished(part.reader.path, words)
        state.withLock { state in
            guard !state.quarantine.contains(where: { $0.path == entry.path && $0.reason.hasPrefix(words.prefix(30)) }),
                state.quarantine.count < StoreState.quarantineMaximum
            else { return }
            state.quarantine.append(entry)
        }
    }

    private static func words(_ error: any Error, _ block: StoredBlock, _ labels: Labels) -> String {
        let summary = block.summary
        let last = summary.lastNanoseconds
        let range = LogTimeRange(
            startNanoseconds: summary.firstNanoseconds, endNanoseconds: last == .max ? last : last + 1)
        return "the block at byte \(summary.offset) of \(block.path) cannot be read (\(error)): \(summary.lines) lines "
            + "of \(labels) from \(words(range)) are missing"
    }

    private func keepDamage(_ reason: String, of block: StoredBlock) {
        let entry = Quarantined(path: block.path, reason: reason + "; all other blocks of the file are served")
        state.withLock { state in
            guard !state.quarantine.contains(entry) else { return }
            state.counters.damagedBlocks += 1
            if state.quarantine.count < StoreState.quarantineMaximum { state.quarantine.append(entry) }
        }
    }

    static func words(_ range: LogTimeRange) -> String {
        "\(Timestamps.rfc3339(nanoseconds: range.startNanoseconds)) to "
            + Timestamps.rfc3339(nanoseconds: range.endNanoseconds)
    }

    /// How many lines in which time are stored of the batches behind `after` up to and including `through`; blocks
    /// that are only partly meant count whole, so that a query over the time finds all of them.
    private func missed(
        _ matchers: [LabelMatcher], after: UInt64, through: UInt64
    ) -> (lines: Int, range: LogTimeRange)? {
        let index = state.withLock { $0.streams }
        let selected = index.select(matchers)
        let catalog = state.withLock { $0.catalog(selected, of: index, range: .all, after: after) }
        var lines = 0
        var first = Int64.max
        var last = Int64.min
        _ = catalog.forEachRun { run, _ in
            guard run.firstPosition <= through, run.lastPosition > after else { return }
            lines += run.lines
            first = min(first, run.firstNanoseconds)
            last = max(last, run.lastNanoseconds)
        }
        guard lines > 0 else { return nil }
        let missed = lines
        state.withLock { $0.counters.tailMissedLines += missed }
        return (lines, LogTimeRange(startNanoseconds: first, endNanoseconds: last == .max ? last : last + 1))
    }
}
