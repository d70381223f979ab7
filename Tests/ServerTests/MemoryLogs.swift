import Synchronization
import Telemetry

/// A log store in memory, as simple as the ports allow.
final class MemoryLogs: LogAppender, LogSource, StorageAdministration {
    /// One stored line.
    struct Line {
        var labels: Labels
        var nanoseconds: Int64
        var text: [UInt8]
        var metadata: Labels
    }

    private let state = Mutex<[Line]>([])
    private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
    /// Tails that are behind this many lines are told that they missed them.
    let forgotten = Mutex(0)
    /// How many tails there are.
    let tails = Atomic<Int>(0)
    /// What the next append throws.
    let refusal = Mutex<AppendRefusal?>(nil)
    let sealed = Atomic<Int>(0)

    /// Everything stored, in the order of arrival.
    var lines: [Line] { state.withLock { $0 } }

    func append(_ batch: LogBatch) async throws -> LogReceipt {
        if let refusal = refusal.withLock({ $0 }) { throw refusal }
        for stream in batch.streams {
            for index in 0..<stream.count {
                let metadata = stream.metadata.first { $0.lineIndex == index }?.labels ?? .empty
                let line = Line(
                    labels: stream.labels, nanoseconds: stream.timesNanoseconds[index],
                    text: Array(stream.line(index)), metadata: metadata)
                state.withLock { $0.append(line) }
            }
        }
        for continuation in waiting.withLock({ waiting in
            defer { waiting = [] }
            return waiting
        }) { continuation.resume() }
        let marks = batch.delivery.map { DeliveryMarks(synced: $0.sequence, archived: $0.sequence) }
        return LogReceipt(accepted: batch.lineCount, marks: marks)
    }

    private func matching(_ request: LogRequest) -> [Line] {
        state.withLock { state in
            state.filter { line in
                request.range.contains(line.nanoseconds) && request.matchers.allSatisfy { $0.matches(line.labels) }
            }.sorted {
                request.direction == .forward ? $0.nanoseconds < $1.nanoseconds : $0.nanoseconds > $1.nanoseconds
            }
        }
    }

    func select(_ request: LogRequest, in context: QueryContext) throws -> LogSelection {
        LogSelection(cursor: Cursor(matching(request)), applied: [])
    }

    func counts(_ request: LogRequest, bucketNanoseconds: Int64, in context: QueryContext) throws -> [LogCounts]? {
        nil
    }

    func streams(_ request: LogRequest, in context: QueryContext) throws -> [Labels] {
        Set(matching(request).map(\.labels)).sorted()
    }

    func labelNames(_ request: LogRequest, in context: QueryContext) throws -> [String] {
        Set(matching(request).flatMap { $0.labels.pairs.map(\.name) }).sorted()
    }

    func labelValues(_ name: String, _ request: LogRequest, in context: QueryContext) throws -> [String] {
        Set(matching(request).compactMap { $0.labels[name] }).sorted()
    }

    func subscribe(_ request: LogRequest, from position: TailPosition?) throws -> any LogSubscription {
        tails.add(1, ordering: .relaxed)
        let filters = try request.fragment.linePredicates.map { try LineMatcher($0) }
        return Subscription(self, request.matchers, filters, position.map { Int($0.rawValue) } ?? lines.count)
    }

    /// A tail of lines behind a position, which is their number.
    private final class Subscription: LogSubscription {
        private let logs: MemoryLogs
        private let matchers: [LabelMatcher]
        private let filters: [LineMatcher]
        private let position: Mutex<Int>

        init(_ logs: MemoryLogs, _ matchers: [LabelMatcher], _ filters: [LineMatcher], _ position: Int) {
            self.logs = logs
            self.matchers = matchers
            self.filters = filters
            self.position = Mutex(position)
        }

        deinit {
            logs.tails.subtract(1, ordering: .relaxed)
        }

        func next() async throws -> TailEvent? {
            while true {
                try Task.checkCancellation()
                let (lines, from) = (logs.lines, position.withLock { $0 })
                let forgotten = logs.forgotten.withLock { $0 }
                if from < forgotten {
                    position.withLock { $0 = forgotten }
                    let missed = lines[from..<forgotten]
                    let range = LogTimeRange(
                        startNanoseconds: missed.map(\.nanoseconds).min() ?? 0,
                        endNanoseconds: (missed.map(\.nanoseconds).max() ?? 0) + 1)
                    return .missed(
                        lines: missed.count, range: range, next: TailPosition(rawValue: UInt64(forgotten)))
                }
                if from < lines.count {
                    position.withLock { $0 = lines.count }
                    var buffer = LogLineBuffer()
                    for line in lines[from...] {
                        let isAsked = line.text.withUnsafeBytes { bytes in filters.allSatisfy { $0.matches(bytes) } }
                        guard isAsked, matchers.allSatisfy({ $0.matches(line.labels) }) else { continue }
                        buffer.streams.append(line.labels)
                        buffer.append(
                            stream: Int32(buffer.streams.count - 1), nanoseconds: line.nanoseconds, line: line.text)
                    }
                    if buffer.count > 0 { return .lines(buffer, next: TailPosition(rawValue: UInt64(lines.count))) }
                    continue
                }
                await wait(behind: from)
            }
        }

        private func wait(behind position: Int) async {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    logs.waiting.withLock { $0.append(continuation) }
                    if logs.lines.count > position || Task.isCancelled { wake() }
                }
            } onCancel: {
                wake()
            }
        }

        private func wake() {
            for continuation in logs.waiting.withLock({ waiting in
                defer { waiting = [] }
                return waiting
            }) { continuation.resume() }
        }
    }

    /// The tests' store cannot do this.
    struct StorageNotHere: Error {}

    func seal() throws { sealed.add(1, ordering: .relaxed) }
    func snapshot(to path: String) throws { throw StorageNotHere() }
    func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int { 0 }
    func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int { 0 }

    func cardinality(limit: Int) -> CardinalityReport {
        CardinalityReport(total: 0, byMetricName: [], byLabelName: [], byLabelPair: [], headRange: nil)
    }

    var ingestHealth: StorageHealth { .ready }
    var queryHealth: StorageHealth { .ready }
    var quarantine: [Quarantined] { [] }
    var metrics: [StoreMetric] { [] }
    var memoryBytes: Int { 0 }
    func releaseMemory(bytes: Int) -> Int { 0 }
    func close() throws {}

    private final class Cursor: LogCursor {
        private static let linesPerRun = 500
        private var lines: [Line]

        init(_ lines: [Line]) {
            self.lines = lines
        }

        func next(into buffer: inout LogLineBuffer) throws -> Bool {
            buffer.removeLines()
            guard !lines.isEmpty else { return false }
            for line in lines.prefix(Cursor.linesPerRun) {
                var stream = buffer.streams.firstIndex(of: line.labels)
                if stream == nil {
                    buffer.streams.append(line.labels)
                    stream = buffer.streams.count - 1
                }
                var metadata: Int32 = -1
                if !line.metadata.isEmpty {
                    buffer.metadata.append(line.metadata)
                    metadata = Int32(buffer.metadata.count - 1)
                }
                buffer.append(
                    stream: Int32(stream ?? 0), nanoseconds: line.nanoseconds, line: line.text, metadata: metadata)
            }
            lines.removeFirst(min(lines.count, Cursor.linesPerRun))
            return true
        }
    }
}
