internal import Disk
internal import Telemetry

/// Builds the state of a store up again after a start: footers of the parts first, then the log behind them.
enum LogRecoverer {
    static let deletionsFile = "deletions"

    /// Opens the parts. Returns the last log position that any of them covers, readable or not.
    static func restore(
        _ state: inout StoreState, from parts: PartFile, storage: any FileStorage, folder: String
    ) throws -> UInt64 {
        let listing = try parts.openAll()
        for part in listing.parts {
            state.add(part.reader, name: part.name)
            state.deduplication.restore(part.reader.footer)
            state.losses.restore(part.reader.footer.losses)
        }
        state.quarantine = listing.quarantined
        state.unreadable = listing.unreadable
        state.appliedPosition = state.sealedPosition
        try restoreDeletions(&state, storage: storage, path: StoragePath.join(folder, deletionsFile))
        let unreadable = listing.unreadable.map(\.lastPosition).max() ?? 0
        return max(state.sealedPosition, unreadable)
    }

    private static func restoreDeletions(
        _ state: inout StoreState, storage: any FileStorage, path: String
    ) throws {
        let most = 2 * Deletion.listBytesMaximum
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: most) else { return }
        // What is answered from now on must not change back: the file's name may not be durable yet.
        try storage.syncFolder(StoragePath.parent(of: path))
        do {
            let (list, blemish) = try bytes.withUnsafeBytes { try Deletion.decode($0) }
            state.deletions = list
            guard let blemish else { return }
            // Written anew while one copy is whole: the next damaged byte may be in that one. A full disk stops no
            // start.
            try? AtomicFile.write(Deletion.encode(list), to: path, in: storage)
            let reason =
                "one of the two copies of the list of deletions was damaged (\(blemish)): the other one was used; "
                + "the device that holds it should be checked"
            state.quarantine.append(Quarantined(path: path, reason: reason))
        } catch let error as FormatError {
            if error.isNewer {
                throw StorageError(
                    .other, operation: "open", path: path,
                    detail: "\(error); nothing was changed, start the program that wrote it")
            }
            let aside = path + ".damaged"
            try storage.rename(path, to: aside)
            let reason =
                "both copies of the list of deletions are damaged (\(error)): deleted lines may be answered again; "
                + "delete them again"
            state.quarantine.append(Quarantined(path: aside, reason: reason))
        }
    }

    /// Applies the batches behind the parts and remembers recent lines without an origin. Returns whether none is
    /// missing.
    static func replay(
        _ log: SegmentedLog, into state: inout StoreState, wallClock: any WallClock
    ) throws -> Bool {
        rememberRecentLines(&state, nowNanoseconds: wallClock.nowNanoseconds)
        var lost: [LogLoss] = []
        var lastArrival = state.parts.last?.reader.footer.createdNanoseconds
        let replay = try log.read(from: LogPosition(state.sealedPosition + 1)) { frame in
            guard frame.kind == LogDatabase.batchKind else { return true }
            do {
                let record = try BatchRecord(decoding: frame.payload)
                if frame.lostBefore > 0 {
                    lost.append(loss(of: frame.lostBefore, after: lastArrival, before: record.arrivalNanoseconds))
                }
                lastArrival = record.arrivalNanoseconds
                _ = state.apply(record, position: frame.position.ordinal)
                state.counters.replayedBatches += 1
            } catch let error as FormatError where error.isNewer {
                throw StorageError(
                    .other, operation: "open", path: log.folder,
                    detail: "\(error); nothing was changed, start the program that wrote it")
            } catch {
                state.counters.unreadableBatches += 1
                state.quarantine.append(
                    Quarantined(
                        path: log.folder, reason: "log position \(frame.position): \(error); it was passed over"))
            }
            return true
        }
        // What is missing of the last, unconfirmed batch was never acknowledged.
        if replay.framesLost > log.recovery.unconfirmedFramesLost {
            for loss in lost { _ = state.losses.insert(loss) }
        }
        for damage in replay.damage + log.recovery.damage {
            let entry = Quarantined(path: damage.path, reason: "\(damage)")
            if !state.quarantine.contains(entry) { state.quarantine.append(entry) }
        }
        for path in log.recovery.quarantined {
            state.quarantine.append(Quarantined(path: path, reason: Self.segmentSetAside))
        }
        state.appliedPosition = max(state.appliedPosition, log.endPosition.ordinal - 1)
        return replay.framesLost == 0
    }

    private static let segmentSetAside =
        "the first bytes of a segment of the write-ahead log are damaged: it was set aside under this name, and its "
        + "batches are missing from answers"

    /// Batches of the log that are gone. Nobody knows whose lines they held: a loss without labels touches every
    /// answer.
    private static func loss(of batches: UInt64, after: Int64?, before: Int64) -> LogLoss {
        let start = min(after ?? before, before)
        return LogLoss(
            labels: .empty, origin: nil,
            range: LogTimeRange(startNanoseconds: start, endNanoseconds: before), lines: 0, bytes: 0,
            reason: "\(batches) batches of the write-ahead log are damaged")
    }

    /// Lines without an origin that came within the window are known again, from the newest parts. Of a block only the
    /// arrival of its last line is known, so after a restart the window can be longer than before, never shorter.
    private static func rememberRecentLines(_ state: inout StoreState, nowNanoseconds: Int64) {
        let window = state.options.duplicateWindowMilliseconds * 1_000_000
        var left = state.options.duplicateLinesMaximum
        var recent: [(stream: Int, block: StoredBlock)] = []
        for part in state.parts.reversed() {
            for summary in part.reader.footer.blocks
            where summary.linesWithoutOrigin > 0 && nowNanoseconds - summary.lastArrivalNanoseconds <= window {
                guard left > 0 else { break }
                left -= summary.linesWithoutOrigin
                recent.append((part.reader.footer.streams[summary.stream].hashValue, StoredBlock(part.reader, summary)))
            }
        }
        for (stream, block) in recent.reversed() {
            // A damaged block is told by the queries that meet it.
            guard let columns = try? block.columns() else { continue }
            let metadata = Dictionary(uniqueKeysWithValues: columns.metadata.map { ($0.lineIndex, $0.labels) })
            for index in 0..<columns.count where columns.originIndexes.isEmpty || columns.originIndexes[index] < 0 {
                columns.bytes[columns.lineStart(index)..<columns.lineEnds[index]].withUnsafeBytes { line in
                    let key = RecentLines.Key(
                        stream: stream, nanoseconds: columns.timesNanoseconds[index], line: line,
                        metadata: metadata[index])
                    _ = state.recentLines.settle(key, arrival: block.summary.lastArrivalNanoseconds)
                }
            }
        }
    }
}
