internal import Telemetry

/// Decides what of a batch may be logged: shape, limits, clocks, the line transform. Pure but for the transform; what
/// it lets through is never judged again, so that a replay under other limits gives the same answer.
struct Admission {
    let options: LogStoreOptions
    let transform: (any LineTransform)?
    /// The time of day.
    let nowNanoseconds: Int64
    /// Older lines are behind the retention; `Int64.min` for none.
    let oldestNanoseconds: Int64

    /// The key that says how long a cut line was.
    static let truncatedKey = "_truncated"

    /// What became of a batch.
    struct Verdict: Sendable {
        var record: BatchRecord
        /// Who sent it; nil for what the process itself has to say.
        var sender: String?
        var rejections: [LogRejection] = []
        var truncated = 0
        var transformed = 0
        /// Refused because they are ahead of the clock.
        var ahead = 0
    }

    /// Throws an `AppendRefusal` of kind `malformed` for a batch whose columns do not fit one another.
    func judge(_ batch: LogBatch) throws(AppendRefusal) -> Verdict {
        var verdict = Verdict(
            record: BatchRecord(
                streams: [], losses: [], delivery: batch.delivery, arrivalNanoseconds: nowNanoseconds),
            sender: batch.sender)
        for lines in batch.streams {
            try Admission.checkShape(lines)
            if lines.count == 0 { continue }
            if let reason = labelRejection(lines.labels) {
                verdict.rejections.append(LogRejection(labels: lines.labels, lines: lines.count, reason: reason))
                continue
            }
            let admitted = admit(lines, into: &verdict)
            if admitted.count > 0 { verdict.record.streams.append(admitted) }
        }
        for loss in batch.losses {
            if let reason = labelRejection(loss.labels) {
                verdict.rejections.append(LogRejection(labels: loss.labels, lines: 0, reason: reason))
            } else {
                verdict.record.losses.append(loss)
            }
        }
        return verdict
    }

    /// Columns of one length, ends that do not fall, metadata in order, intervals that are not empty.
    static func checkShape(_ lines: LogLines) throws(AppendRefusal) {
        func malformed(_ reason: String) -> AppendRefusal {
            AppendRefusal(.malformed, "lines of \(lines.labels) cannot be right: \(reason)")
        }
        guard lines.lineEnds.count == lines.count else { throw malformed("times and line ends differ in number") }
        var previous = 0
        for end in lines.lineEnds {
            guard end >= previous else { throw malformed("line ends fall") }
            previous = end
        }
        guard previous == lines.bytes.count else { throw malformed("the last line does not end at the last byte") }
        var line = -1
        for entry in lines.metadata {
            guard entry.lineIndex > line, entry.lineIndex < lines.count else {
                throw malformed("structured metadata is not ordered by line")
            }
            line = entry.lineIndex
        }
        guard let origin = lines.origin else { return }
        guard origin.source.utf8.count <= BatchCoding.sourceBytesMaximum else {
            throw malformed("the name of its source is over \(BatchCoding.sourceBytesMaximum) bytes")
        }
        guard lines.offsetStarts.count == lines.count, lines.offsetEnds.count == lines.count else {
            throw malformed("offsets and times differ in number")
        }
        for (start, end) in zip(lines.offsetStarts, lines.offsetEnds) where start >= end {
            throw malformed("a line stands for no byte of its source")
        }
    }

    private func labelRejection(_ labels: Labels) -> String? {
        if labels.isEmpty { return "a stream needs at least one label" }
        var count = 0
        var reason: String?
        labels.forEachPair { name, value in
            count += 1
            if name.count > options.labelNameBytesMaximum {
                reason = "a label name of \(name.count) bytes is over the limit of \(options.labelNameBytesMaximum)"
            } else if value.count > options.labelValueBytesMaximum {
                reason = "a label value of \(value.count) bytes is over the limit of \(options.labelValueBytesMaximum)"
            }
        }
        if count > options.labelsMaximum { return "\(count) labels are over the limit of \(options.labelsMaximum)" }
        return reason
    }

    private func lineRejection(_ lines: LogLines, _ index: Int, metadata: Labels?) -> String? {
        let time = lines.timesNanoseconds[index]
        let (limit, overflows) = nowNanoseconds.addingReportingOverflow(options.aheadMillisecondsMaximum * 1_000_000)
        if !overflows, time > limit {
            return "more than \(options.aheadMillisecondsMaximum / 60_000) minutes ahead of the server's clock"
        }
        if time < oldestNanoseconds { return "older than the retention" }
        if let metadata, metadata.encoded.count > options.metadataBytesMaximum {
            return "structured metadata is over the limit of \(options.metadataBytesMaximum) bytes"
        }
        return nil
    }

    /// The lines that pass, transformed and cut where that is due. Untouched lines are not copied.
    private func admit(_ lines: LogLines, into verdict: inout Verdict) -> LogLines {
        if transform == nil, isPlain(lines) { return lines }
        var admitted = LogLines(labels: lines.labels, origin: lines.origin)
        var reasons: [String: Int] = [:]
        var nextMetadata = 0
        for index in 0..<lines.count {
            var metadata: Labels?
            if nextMetadata < lines.metadata.count, lines.metadata[nextMetadata].lineIndex == index {
                metadata = lines.metadata[nextMetadata].labels
                nextMetadata += 1
            }
            if let reason = lineRejection(lines, index, metadata: metadata) {
                reasons[reason, default: 0] += 1
                if reason.contains("ahead") { verdict.ahead += 1 }
                continue
            }
            var line = lines.line(index)
            if let changed = transform?.transform(line, of: lines.labels) {
                line = changed[...]
                verdict.transformed += 1
            }
            var labels = metadata ?? .empty
            if line.count > options.lineBytesMaximum {
                labels = labels.setting(Admission.truncatedKey, to: String(line.count))
                line = line.prefix(options.lineBytesMaximum)
                verdict.truncated += 1
            }
            let time = lines.timesNanoseconds[index]
            if lines.origin == nil {
                admitted.append(nanoseconds: time, line: line, metadata: labels)
            } else {
                let offsets = lines.offsetStarts[index]..<lines.offsetEnds[index]
                admitted.append(nanoseconds: time, line: line, offsets: offsets, metadata: labels)
            }
        }
        for (reason, count) in reasons.sorted(by: { $0.key < $1.key }) {
            verdict.rejections.append(LogRejection(labels: lines.labels, lines: count, reason: reason))
        }
        return admitted
    }

    /// Whether every line passes as it is.
    private func isPlain(_ lines: LogLines) -> Bool {
        var start = 0
        for index in 0..<lines.count {
            let end = lines.lineEnds[index]
            if end - start > options.lineBytesMaximum { return false }
            if lineRejection(lines, index, metadata: nil) != nil { return false }
            start = end
        }
        return !lines.metadata.contains { $0.labels.encoded.count > options.metadataBytesMaximum }
    }
}
