internal import Telemetry

/// Making room for a batch before it is logged.
extension StoreState {
    /// What is to be logged of a batch, and what was taken for it.
    struct Reserved {
        var record: BatchRecord
        var reservation = LogDatabase.Reservation()
        /// Lines of streams beyond the limit.
        var overLimit: [LogLines] = []
    }

    /// Leaves out the lines of streams that send too much; a loss says so. Throws when the batch has no other stream:
    /// then its sender had better come again.
    mutating func allow(_ verdict: inout Admission.Verdict) throws(AppendRefusal) {
        let limit = options.streamBytesPerSecondMaximum
        guard limit > 0 else { return }
        let now = verdict.record.arrivalNanoseconds
        let streams = verdict.record.streams
        var kept: [LogLines] = []
        for lines in streams {
            guard let seconds = allowance.take(lines.bytes.count, of: lines.labels, now: now) else {
                kept.append(lines)
                continue
            }
            counters.limitedLines += lines.count
            let reason = "over the limit of \(limit) bytes a second for one stream"
            guard streams.count > 1 else {
                throw AppendRefusal(
                    .overloaded, "stream \(lines.labels) is \(reason); nothing of this batch was kept, send it again",
                    retryAfterSeconds: seconds)
            }
            let first = lines.timesNanoseconds.min() ?? now
            let last = lines.timesNanoseconds.max() ?? now
            verdict.rejections.append(LogRejection(labels: lines.labels, lines: lines.count, reason: reason))
            verdict.record.losses.append(
                LogLoss(
                    labels: lines.labels, origin: lines.origin,
                    range: LogTimeRange(startNanoseconds: first, endNanoseconds: last == .max ? last : last + 1),
                    lines: lines.count, bytes: lines.bytes.count, reason: reason))
        }
        if kept.count < streams.count {
            verdict.record.streams = kept
            verdict.record.doubtful = kept.map { _ in [] }
        }
    }

    /// Takes memory and streams for a batch and drops lines without an origin that are stored already. `keys` has one
    /// element per stream, empty for one with an origin. Nil when there is no memory.
    mutating func reserve(
        _ record: BatchRecord, keys: [[RecentLines.Key]], bytes: Int, options: LogStoreOptions
    ) -> Reserved? {
        let held = headBytes + reservedBytes
        // A batch alone in the store always passes, however large it is.
        guard held == 0 || held + bytes <= options.headBytesMaximum else { return nil }
        var result = Reserved(record: record)
        result.record.streams = []
        result.record.doubtful = []
        var room = options.streamsMaximum - streams.count - reservedStreams
        var new = Set<Labels>()
        for (lines, keys) in zip(record.streams, keys) {
            if streams.identifier(of: lines.labels) == nil, !new.contains(lines.labels) {
                guard room > 0 else {
                    result.overLimit.append(lines)
                    continue
                }
                room -= 1
                new.insert(lines.labels)
            }
            guard lines.origin == nil else {
                result.record.streams.append(lines)
                result.record.doubtful.append([])
                result.reservation.keys.append([])
                continue
            }
            admit(lines, keys, now: record.arrivalNanoseconds, into: &result)
        }
        result.reservation.bytes = bytes
        result.reservation.streams = new.count
        reservedBytes += bytes
        reservedStreams += new.count
        return result
    }

    private mutating func admit(
        _ lines: LogLines, _ keys: [RecentLines.Key], now: Int64, into result: inout Reserved
    ) {
        var kept: [Int] = []
        var doubtful: [Int] = []
        for (index, key) in keys.enumerated() {
            if index % RecentLines.fetchedTogether == 0 {
                recentLines.fetch(keys[index..<min(keys.count, index + RecentLines.fetchedTogether)])
            }
            switch recentLines.admit(key, now: now) {
            case .stored:
                result.reservation.duplicates += 1
                continue
            case .underway: doubtful.append(kept.count)
            case .new: result.reservation.underway.append(key)
            }
            kept.append(index)
        }
        guard !kept.isEmpty else { return }
        let isWhole = kept.count == lines.count
        result.record.streams.append(isWhole ? lines : lines.keeping(kept))
        result.record.doubtful.append(doubtful)
        result.reservation.keys.append(isWhole ? keys : kept.map { keys[$0] })
    }
}

extension LogLines {
    /// Only the lines `indexes`, which rise; without an origin.
    fileprivate func keeping(_ indexes: [Int]) -> LogLines {
        var kept = LogLines(labels: labels)
        var next = 0
        for index in indexes {
            while next < metadata.count, metadata[next].lineIndex < index { next += 1 }
            let isThere = next < metadata.count && metadata[next].lineIndex == index
            kept.append(
                nanoseconds: timesNanoseconds[index], line: line(index),
                metadata: isThere ? metadata[next].labels : .empty)
        }
        return kept
    }
}
