internal import Telemetry

/// Making room for a batch before it is logged.
extension StoreState {
    /// What is to be logged of a batch, and what was taken for it.
    struct Reserved {
        var record: BatchRecord
        var reservation = LogDatabase.Reservation()
        /// Lines of streams beyond a limit, and which.
        var overLimit: [(lines: LogLines, reason: String)] = []
    }

    /// Leaves out the lines of streams and sources that send too much; a loss says so. Throws when the sender as a
    /// whole does, or when the batch has no other stream: then it had better come again.
    mutating func allow(_ verdict: inout Admission.Verdict) throws(AppendRefusal) {
        let now = verdict.record.arrivalNanoseconds
        let streams = verdict.record.streams
        try allowSender(verdict.sender, bytes: streams.reduce(0) { $0 + $1.bytes.count }, now: now)
        var kept: [LogLines] = []
        for lines in streams {
            guard let (seconds, reason) = excess(lines, now: now) else {
                kept.append(lines)
                continue
            }
            counters.limitedLines += lines.count
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

    /// Takes the bytes of a batch from what its sender may send.
    private mutating func allowSender(_ sender: String?, bytes: Int, now: Int64) throws(AppendRefusal) {
        guard let sender else { return }
        if let seconds = senderAllowance.seconds(until: bytes, of: sender, now: now) {
            throw AppendRefusal(
                .overloaded,
                "\(sender) is over the limit of \(options.senderBytesPerSecondMaximum) bytes a second for one sender; "
                    + "nothing of this batch was kept, send it again", retryAfterSeconds: seconds)
        }
        senderAllowance.take(bytes, of: sender, now: now)
    }

    /// Why lines of a stream are too many, and after how many seconds they would not be; nil when they are taken.
    private mutating func excess(_ lines: LogLines, now: Int64) -> (seconds: Int, reason: String)? {
        let bytes = lines.bytes.count
        if let seconds = allowance.seconds(until: bytes, of: lines.labels, now: now) {
            return (
                seconds, "over the limit of \(options.streamBytesPerSecondMaximum) bytes a second for one stream"
            )
        }
        if options.sourceBytesPerSecondMaximum > 0 {
            let source = LineSource(lines.labels)
            if let seconds = sourceAllowance.seconds(until: bytes, of: source, now: now) {
                return (
                    seconds,
                    "over the limit of \(options.sourceBytesPerSecondMaximum) bytes a second for one source, \(source)"
                )
            }
            sourceAllowance.take(bytes, of: source, now: now)
        }
        allowance.take(bytes, of: lines.labels, now: now)
        return nil
    }

    /// Whether memory runs out and this sender takes most of it: others are let in before it.
    private func isRefusedFirst(_ sender: String?, held: Int, now: Int64) -> Bool {
        guard let sender, held > options.headBytesMaximum / 4 * 3 else { return false }
        return senderLoads.isHeavy(sender, now: now)
    }

    /// Why a stream that is new may not be; nil when it may. Counts it.
    private mutating func refusal(ofNew labels: Labels, sender: String?, _ counts: inout StreamCounts) -> String? {
        if counts.room <= 0 { return "the limit of \(options.streamsMaximum) streams is reached" }
        let source = LineSource(labels)
        if options.sourceStreamsMaximum > 0 {
            let known = streams.count(of: source) + counts.bySource[source, default: 0]
            if known >= options.sourceStreamsMaximum {
                return "the limit of \(options.sourceStreamsMaximum) streams of one source, \(source), is reached"
            }
        }
        if let sender, options.senderStreamsMaximum > 0 {
            let known = streamsBySender[sender, default: 0]
            if known >= options.senderStreamsMaximum {
                return "\(sender) has begun \(known) streams, the limit for one sender"
            }
            streamsBySender[sender] = known + 1
        }
        counts.bySource[source, default: 0] += 1
        counts.room -= 1
        return nil
    }

    /// Streams that one batch begins.
    private struct StreamCounts {
        var room: Int
        var bySource: [LineSource: Int] = [:]
    }

    /// Takes memory and streams for a batch and drops lines without an origin that are stored already. `keys` has one
    /// element per stream, empty for one with an origin. Nil when there is no memory.
    mutating func reserve(
        _ record: BatchRecord, sender: String?, keys: [[RecentLines.Key]], bytes: Int
    ) -> Reserved? {
        let held = headBytes + reservedBytes
        let now = record.arrivalNanoseconds
        if isRefusedFirst(sender, held: held, now: now) { return nil }
        // A batch alone in the store always passes, however large it is.
        guard held == 0 || held + bytes <= options.headBytesMaximum else { return nil }
        var result = Reserved(record: record)
        result.record.streams = []
        result.record.doubtful = []
        var counts = StreamCounts(room: options.streamsMaximum - streams.count - reservedStreams)
        var new = Set<Labels>()
        for (lines, keys) in zip(record.streams, keys) {
            if streams.identifier(of: lines.labels) == nil, !new.contains(lines.labels) {
                if let reason = refusal(ofNew: lines.labels, sender: sender, &counts) {
                    result.overLimit.append((lines, reason))
                    continue
                }
                new.insert(lines.labels)
            }
            guard lines.origin == nil else {
                result.record.streams.append(lines)
                result.record.doubtful.append([])
                result.reservation.keys.append([])
                continue
            }
            admit(lines, keys, now: now, into: &result)
        }
        if let sender { senderLoads.note(bytes, of: sender, now: now) }
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
