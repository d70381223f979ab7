internal import Disk
internal import Synchronization
internal import Telemetry

/// Moving lines from memory and log into parts.
extension LogDatabase {
    /// After a failed try to seal, the next one by itself comes this much later.
    static let retryNanoseconds: Int64 = 5_000_000_000

    /// One round of all housekeeping, for a test. Blocks.
    package func maintain() {
        maintainHead()
        maintainParts()
    }

    /// Merges, and keeps to the limit of bytes; on a thread of its own, so that sealing does not wait for it. Parts are
    /// never changed: what is merged is read and encoded without a lock.
    func maintainParts() {
        scrub.round(state.withLock { $0.parts }, isCancelled: { isClosing }) {
            noteDamage($2, of: $1, in: $0)
        } note: { part, words in
            noteBlemish(words, of: part)
        }
        mergeParts()
        enforceSize()
        idle.round(blocks)
    }

    /// Encodes full blocks, seals when size, age or the log ask for it. A failure is counted and tried again later.
    func maintainHead() {
        defer { admitWaiting() }
        sealing.withLock { _ in
            encodeFullBlocks()
            reserve?.refill()
            let now = wallClock.nowNanoseconds
            let logBytes = Int(clamping: log.status.bytesOnDisk)
            let isDue = state.withLock { state -> Bool in
                if let failed = state.sealFailedNanoseconds, abs(now &- failed) < LogDatabase.retryNanoseconds {
                    return false
                }
                if logBytes >= options.sealLogBytes, state.appliedPosition > state.sealedPosition { return true }
                if state.headBytes >= options.sealBytes { return true }
                guard let oldest = state.oldestArrivalNanoseconds else { return false }
                return now &- oldest >= options.sealAgeMilliseconds * 1_000_000
            }
            // Told by `ingestHealth` and the counters; the lines are safe in the log.
            if isDue { try? sealHead(evenIfEmpty: logBytes >= options.sealLogBytes) }
        }
    }

    /// Writes the head as a part and cuts the log behind it. Called with `sealing` held.
    func sealHead(evenIfEmpty: Bool = false) throws {
        guard let frozen = state.withLock({ $0.freeze(evenIfEmpty: evenIfEmpty) }) else {
            return cutLogAfterSealing()
        }
        let writer = frozen.part(createdNanoseconds: wallClock.nowNanoseconds)
        do throws(StorageError) {
            let (reader, name) = try withReserve { () throws(StorageError) in try parts.write(writer) }
            state.withLock { state in
                state.commit(frozen, reader, name: name)
                state.sealFailedNanoseconds = nil
                state.sealFailure = nil
            }
        } catch {
            let now = wallClock.nowNanoseconds
            state.withLock { state in
                state.thaw(frozen)
                state.sealFailedNanoseconds = now
                state.sealFailure = "\(error)"
            }
            throw error
        }
        cutLogAfterSealing()
    }

    /// A log that could not be cut takes more room than it needs, until the next time; nothing else is wrong with it.
    private func cutLogAfterSealing() {
        do {
            try cutLog()
        } catch {
            state.withLock { $0.counters.cutFailures += 1 }
        }
    }

    /// Removes the segments of the log whose batches all lie in parts.
    func cutLog() throws {
        let sealed = state.withLock { $0.sealedPosition }
        guard log.status.firstPosition.ordinal <= sealed else { return }
        try log.performBlocking { log in
            if log.poison == nil, log.endPosition.ordinal == sealed + 1 { try log.rotate() }
            try log.cut(before: LogPosition(sealed + 1))
        }
    }

    func withReserve<Value>(_ body: () throws(StorageError) -> Value) throws(StorageError) -> Value {
        guard let reserve else { return try body() }
        return try reserve.perform(body)
    }

    /// Compresses what makes full blocks, which frees most of its memory. Called with `sealing` held.
    private func encodeFullBlocks() {
        let full = state.withLock { state in
            state.hasFullBlock = false
            state.isEncoding = true
            return state.heads.compactMap { identifier, head -> (Int, Labels, ArraySlice<HeadChunk>)? in
                let count = head.chunksOfFullBlock()
                return count > 0 ? (identifier, state.streams.labels(of: identifier), head.chunks.prefix(count)) : nil
            }
        }
        for (identifier, labels, chunks) in full {
            let block = HeadStream.encode(chunks, of: labels)
            let before = chunks.reduce(0) { $0 + $1.accountedBytes }
            state.withLock { state in
                state.heads[identifier]?.replaceFirstChunks(chunks.count, by: block)
                state.headBytes += block.memoryBytes - before
            }
            admitWaiting(ifRoom: true)
        }
        state.withLock { $0.isEncoding = false }
    }
}
