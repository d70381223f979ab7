internal import Disk
internal import Synchronization
internal import Telemetry

/// Fewer and larger parts, and deletions that really remove. Every step leaves a store that a crash may meet: the new
/// part covers the log positions of those it stands for, and a start drops what is covered.
extension LogDatabase {
    /// Merges one group of small neighbours, if there is one, and rewrites parts with deleted lines. A failure is
    /// counted; what was there stays. One thread at a time.
    func mergeParts() {
        do {
            try purgeDeletions()
            let (parts, deletions) = state.withLock { ($0.parts.filter { !$0.isKept }, $0.deletions) }
            guard let group = LogDatabase.mergeable(parts, options: options) else { return }
            // Parts in between that must not be touched end a group.
            let all = state.withLock { $0.parts.map(\.name) }
            guard let first = all.firstIndex(of: group[0].name),
                Array(all.dropFirst(first).prefix(group.count)) == group.map(\.name)
            else { return }
            try replace(group, deletions)
        } catch is MergeCancelled {
            // The store closes: what was there stays, and the next start goes on.
        } catch {
            state.withLock { $0.counters.mergeFailures += 1 }
        }
    }

    /// The first group of neighbours that are worth a merge: enough of them, none larger than all the others, together
    /// not too large.
    static func mergeable(_ parts: [OpenPart], options: LogStoreOptions) -> [OpenPart]? {
        for start in parts.indices {
            var bytes = 0
            var largest = 0
            var end = start
            while end < parts.count, bytes + Int(clamping: parts[end].reader.fileBytes) <= options.mergedBytesMaximum {
                let size = Int(clamping: parts[end].reader.fileBytes)
                bytes += size
                largest = max(largest, size)
                end += 1
            }
            if end - start >= options.mergePartsMinimum, largest * 2 <= bytes { return Array(parts[start..<end]) }
        }
        return nil
    }

    /// Rewrites the parts that hold deleted lines, and forgets the deletions that then have nothing to hide any more.
    private func purgeDeletions() throws {
        let (deletions, parts) = state.withLock { ($0.deletions, $0.parts) }
        if deletions.isEmpty { return }
        for part in parts where !part.isKept && deletions.contains(where: { $0.concerns(part) }) {
            try replace([part], deletions)
        }
        try forgetPurged(deletions)
    }

    /// Forgets deletions that no part needs. A part that cannot be read now may come back from a snapshot.
    private func forgetPurged(_ deletions: [Deletion]) throws {
        let needed = state.withLock { state in
            state.deletions.filter { deletion in
                !deletions.contains(deletion) || state.unreadable.contains { $0.firstPosition <= deletion.position }
                    || state.parts.contains { deletion.concerns($0) }
            }
        }
        try sealing.withLock { _ in
            // One that came meanwhile is for the next round.
            guard state.withLock({ $0.deletions }) == deletions, needed.count < deletions.count else { return }
            try writeDeletions(needed)
        }
    }

    /// Writes one part in the place of several, without what was deleted, and without the lines of a source that takes
    /// too much room.
    func replace(_ parts: [OpenPart], _ deletions: [Deletion], withoutLinesOf source: LineSource? = nil) throws {
        let writer: PartWriter
        do {
            writer = try PartMerger(
                parts: parts, deletions: deletions, trimmed: source, isCancelled: { [self] in isClosing }
            ).part()
        } catch let error as MergeCancelled {
            throw error
        } catch {
            // A damaged block stays where it is, and its neighbours with it; queries tell about it.
            state.withLock { $0.keepApart(parts) }
            throw error
        }
        try sealing.withLock { _ in
            // What was deleted or expired meanwhile must not come back: then the work is thrown away.
            let isCurrent = state.withLock { state in
                state.deletions == deletions
                    && parts.allSatisfy { part in state.parts.contains { $0.reader === part.reader } }
            }
            if isCurrent { try put(writer, inPlaceOf: parts, isPurged: !deletions.isEmpty) }
        }
    }

    /// Writes a part and removes those that it stands for. Called with `sealing` held.
    private func put(_ writer: PartWriter, inPlaceOf parts: [OpenPart], isPurged: Bool) throws {
        let (reader, name) = try withReserve { () throws(StorageError) in
            try self.parts.write(writer, replacing: parts.map(\.name))
        }
        state.withLock { state in
            state.parts.removeAll { part in parts.contains { $0.name == part.name } }
            state.add(reader, name: name, isPurged: isPurged)
            // Those of lines that were taken out are new.
            state.losses.restore(reader.footer.losses)
            state.counters.mergedParts += parts.count
            state.counters.trimmedLines +=
                parts.reduce(0) { $0 + $1.reader.lineCount } - reader.lineCount
        }
        for part in parts where part.name != name { try self.parts.remove(part) }
    }
}

extension Deletion {
    /// Whether the part may hold lines that are meant.
    func concerns(_ part: OpenPart) -> Bool {
        guard !part.isPurged, part.name.lastPosition <= position,
            range.overlaps(first: part.reader.span.lowerBound, last: part.reader.span.upperBound)
        else { return false }
        return part.reader.footer.streams.enumerated().contains { number, labels in
            matches(labels)
                && part.reader.footer.blocks[part.reader.blockRanges[number]].contains {
                    range.overlaps(first: $0.firstNanoseconds, last: $0.lastNanoseconds)
                }
        }
    }
}

extension StoreState {
    /// Leaves parts out of merges until the next start.
    mutating func keepApart(_ kept: [OpenPart]) {
        for index in parts.indices where kept.contains(where: { $0.name == parts[index].name }) {
            parts[index].isKept = true
        }
    }
}
