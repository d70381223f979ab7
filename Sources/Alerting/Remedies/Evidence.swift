internal import Crypto
internal import Disk
internal import Query
internal import Telemetry

/// What was seen before an action destroys it: the target's last lines, its series, and what happened on its node.
/// Frozen as one JSON file whose SHA-256 goes into the audit log and the notification. Blocking: used on evaluation
/// threads.
struct EvidenceCollector: Sendable {
    /// Bounds of one file, whatever a target has.
    static let seriesMaximum = 500
    static let samplesMaximum = 200_000
    static let eventsMaximum = 200
    static let bytesMaximum = 32 << 20

    let series: any SeriesSource
    let logs: (any LogSource)?
    let clock: any MonotonicClock

    /// The bytes of the evidence for an action on the target of `alert`, at `now` in milliseconds.
    func collect(_ record: ActionRecord, _ remedy: Remedy, alert: AlertInstance, now: Int64) -> [UInt8] {
        var faults: [String] = []
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", 1)
        writer.member("action", record.id)
        writer.member("remedy", record.remedy)
        writer.member("command", record.action)
        writer.member("target", record.target)
        writer.member("node", record.node)
        writer.member("frozenAt", Timestamps.rfc3339(milliseconds: now))
        writer.key("alert")
        encode(alert, &writer)
        writer.key("lines")
        encode(lines(of: alert.labels, remedy.evidenceLines, now, &faults), &writer)
        writer.key("events")
        encode(events(of: alert.labels, remedy.evidenceWindowMilliseconds, now, &faults), &writer)
        writer.key("series")
        encodeSeries(alert.labels, remedy.evidenceWindowMilliseconds, now, &writer, &faults)
        writer.key("faults")
        writer.beginArray()
        for fault in faults { writer.string(fault) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// The SHA-256 of `bytes` in hexadecimal digits.
    static func hash(_ bytes: [UInt8]) -> String { Hexadecimal.text(SHA256.hash(data: bytes)) }

    private func encode(_ alert: AlertInstance, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("labels")
        writer.labels(alert.labels)
        writer.key("annotations")
        writer.beginObject()
        for (name, text) in alert.annotations.sorted(by: { $0.key < $1.key }) { writer.member(name, text) }
        writer.endObject()
        writer.member("activeAt", Timestamps.rfc3339(milliseconds: alert.activeAt))
        writer.member("value", FloatText.plain(alert.value))
        writer.member("fingerprint", alert.fingerprint.text)
        writer.endObject()
    }

    // MARK: Lines

    private struct Line {
        var stream: Labels
        var nanoseconds: Int64
        var text: [UInt8]
    }

    /// The last lines of the target, oldest first. Stream labels name a container by name and node, not by id.
    private func lines(of labels: Labels, _ count: Int, _ now: Int64, _ faults: inout [String]) -> [Line] {
        guard count > 0, let name = labels["container"] ?? labels["name"] else { return [] }
        var matchers: [LabelMatcher] = [.equal("container", name)]
        for shared in ["node", "namespace", "pod"] {
            if let value = labels[shared] { matchers.append(.equal(shared, value)) }
        }
        return select(matchers, fromMilliseconds: now - 86_400_000, now, limit: count, &faults) { _ in true }
    }

    /// What happened to the target or its node, oldest first.
    private func events(of labels: Labels, _ window: Int64, _ now: Int64, _ faults: inout [String]) -> [Line] {
        let names = [labels["container"] ?? labels["name"], RemedyTarget.container(labels)].compactMap { $0 }
        let needles = names.map { Array($0.utf8) }
        return select(
            [.equal("source", "vedette")], fromMilliseconds: now - window, now, limit: EvidenceCollector.eventsMaximum,
            &faults
        ) { line in needles.isEmpty || needles.contains { line.contains($0) } }
    }

    private func select(
        _ matchers: [LabelMatcher], fromMilliseconds start: Int64, _ now: Int64, limit: Int, _ faults: inout [String],
        where isWanted: (ArraySlice<UInt8>) -> Bool
    ) -> [Line] {
        guard let logs else { return [] }
        var result: [Line] = []
        do {
            // Lines may carry times a little ahead of ours.
            let range = LogTimeRange(
                startNanoseconds: start * 1_000_000, endNanoseconds: (now + 60_000) * 1_000_000)
            let request = LogRequest(matchers: matchers, range: range, direction: .backward, limit: limit)
            let selection = try logs.select(request, in: context())
            var buffer = LogLineBuffer()
            var visited = 0
            while result.count < limit, visited < 100_000 {
                buffer.removeLines()
                guard try selection.cursor.next(into: &buffer) else { break }
                visited += buffer.count
                for index in 0..<buffer.count where result.count < limit && isWanted(buffer.line(index)) {
                    result.append(
                        Line(
                            stream: buffer.streams[Int(buffer.streamIndexes[index])],
                            nanoseconds: buffer.timesNanoseconds[index], text: Array(buffer.line(index))))
                }
            }
        } catch {
            faults.append("lines of \(matchers.map(\.description).joined(separator: ", ")): \(error)")
        }
        return result.reversed()
    }

    private func encode(_ lines: [Line], _ writer: inout JSONWriter) {
        writer.beginArray()
        for line in lines {
            writer.beginObject()
            writer.member("time", Timestamps.rfc3339(nanoseconds: line.nanoseconds))
            writer.key("stream")
            writer.labels(line.stream)
            writer.key("line")
            writer.string(line.text[...])
            writer.endObject()
        }
        writer.endArray()
    }

    // MARK: Series

    private func encodeSeries(
        _ labels: Labels, _ window: Int64, _ now: Int64, _ writer: inout JSONWriter, _ faults: inout [String]
    ) {
        writer.beginArray()
        defer { writer.endArray() }
        var matchers: [LabelMatcher] = []
        for name in ["node", "namespace", "pod", "container", "name"] {
            if let value = labels[name] { matchers.append(.equal(name, value)) }
        }
        if let id = labels["id"], matchers.count < 2 { matchers.append(.equal("id", id)) }
        guard matchers.contains(where: { $0.name != "node" }) else { return }
        var samples = 0
        do {
            let range = TimeRange(startMilliseconds: now - window, endMilliseconds: now)
            let request = SeriesRequest(matchers: matchers, range: range, limit: EvidenceCollector.seriesMaximum)
            var buffer = SampleBuffer()
            for cursor in try series.select(request, in: context()).prefix(EvidenceCollector.seriesMaximum) {
                guard samples < EvidenceCollector.samplesMaximum else {
                    faults.append(
                        "the series hold more than \(EvidenceCollector.samplesMaximum) samples: the rest is left out")
                    break
                }
                writer.beginObject()
                writer.key("labels")
                writer.labels(cursor.labels)
                writer.key("samples")
                writer.beginArray()
                defer {
                    writer.endArray()
                    writer.endObject()
                }
                while try cursor.next(into: &buffer) {
                    samples += buffer.values.count
                    for (time, value) in zip(buffer.timesMilliseconds, buffer.values) {
                        writer.beginArray()
                        writer.sampleTime(milliseconds: time)
                        writer.sampleValue(value)
                        writer.endArray()
                    }
                }
            }
        } catch {
            faults.append("series: \(error)")
        }
    }

    private func context() -> QueryContext {
        let deadline = clock.nowNanoseconds + 5_000_000_000
        return QueryContext(
            limits: QueryContext.Limits(
                bytes: 256 << 20, deadlineNanoseconds: deadline, timeoutMilliseconds: 5000), clock: clock)
    }
}
