internal import Telemetry

/// Walks the lines of one run that a query asks for, in either direction, holding no more of them than a window.
final class RunCursor {
    let run: LineRun
    /// Where the stream stands among the selected ones: equal times of several streams come in this order.
    let rank: Int
    private let plan: MergePlan
    private let isForward: Bool

    /// Lines that were selected and are not in the window yet, rising; nil before the run was opened.
    private var remaining: ArraySlice<Int32>?
    /// The window, rising in time whatever the direction.
    private var times: [Int64] = []
    private var lineEnds: [Int] = []
    private var bytes: [UInt8] = []
    private var metadata: [Labels?] = []
    /// Empty where nobody asked for them.
    private var severities: [UInt8] = []
    /// The line of the window that comes next.
    private var index = 0
    private var reservedBytes = 0

    /// A cursor before the first line of `run`.
    init(_ run: LineRun, rank: Int, plan: MergePlan) {
        self.run = run
        self.rank = rank
        self.plan = plan
        isForward = plan.isForward
    }

    deinit {
        plan.context.release(reservedBytes)
    }

    /// Whether there is a next line; reads from disk when the window is used up.
    func prepare() throws -> Bool {
        if times.indices.contains(index) { return true }
        return try fill()
    }

    /// The time of the next line. Only after `prepare` said that there is one.
    var nextNanoseconds: Int64 { times[index] }

    /// Moves lines to `buffer` while `goesOn` says so of their times, at most `maximum`, all of one window.
    func emit(
        to output: inout LineOutput, buffer: inout LogLineBuffer, maximum: Int, while goesOn: (Int64) -> Bool
    ) {
        var emitted = 0
        while times.indices.contains(index), emitted < maximum, goesOn(times[index]) {
            let start = index == 0 ? 0 : lineEnds[index - 1]
            output.append(
                to: &buffer, stream: run.stream, nanoseconds: times[index], line: bytes[start..<lineEnds[index]],
                metadata: metadata.isEmpty ? nil : metadata[index],
                severity: severities.isEmpty ? nil : severities[index])
            index += isForward ? 1 : -1
            emitted += 1
        }
    }

    private func fill() throws -> Bool {
        plan.context.release(reservedBytes)
        reservedBytes = 0
        (times, lineEnds, bytes, metadata, severities) = ([], [], [], [], [])
        if let remaining, remaining.isEmpty { return false }
        do {
            let open = try OpenRun(
                run, range: plan.range, search: remaining == nil ? plan.search : nil, context: plan.context,
                blocks: plan.blocks)
            guard let open else {
                remaining = []
                return false
            }
            try take(from: open)
        } catch let error as QueryInterruption {
            throw error
        } catch {
            plan.report(error, run)
            remaining = []
            return false
        }
        reservedBytes = bytes.count + times.count * LineColumns.lineOverheadBytes
        try plan.context.reserve(reservedBytes)
        index = isForward ? 0 : times.count - 1
        return !times.isEmpty
    }

    /// Rebuilds the next window of selected lines.
    private func take(from open: OpenRun) throws {
        let selected = remaining ?? open.selected[...]
        // Lines are about as long as those of their run are on average; a window is a bound for memory, no exact one.
        let lineBytes = max(1, run.rawBytes / max(1, run.lines))
        let windowBytes = plan.windows.bytes(for: min(selected.count, plan.windowLines) * lineBytes)
        let taken = min(selected.count, max(1, min(windowBytes / lineBytes, plan.windowLines)))
        let window = isForward ? selected.prefix(taken) : selected.suffix(taken)
        (bytes, lineEnds) = try open.rebuild(window)
        remaining = isForward ? selected.dropFirst(taken) : selected.dropLast(taken)
        times = window.map { open.times[Int($0)] }
        if plan.wantsSeverities { severities = try open.severities(window, of: run) }
        guard !open.metadata.isEmpty else { return }
        var next = 0
        metadata = window.map { line in
            while next < open.metadata.count, open.metadata[next].lineIndex < Int(line) { next += 1 }
            let isThere = next < open.metadata.count && open.metadata[next].lineIndex == Int(line)
            return isThere ? open.metadata[next].labels : nil
        }
    }
}

/// What all cursors of one query share.
struct MergePlan {
    let range: LogTimeRange
    let search: BlockSearch
    let blocks: BlockCache
    let isForward: Bool
    let wantsSeverities: Bool
    /// What one run may hold at a time.
    let windows: MergeWindows
    let windowLines: Int
    let context: QueryContext
    /// Notes damage that was met.
    let report: (any Error, LineRun) -> Void
}

/// Numbers streams and metadata as a cursor's buffer wants them.
struct LineOutput {
    private let labels: [Int: Labels]
    private var streamNumbers: [Int: Int32] = [:]
    private var metadataNumbers: [Labels: Int32] = [:]
    private var streams: [Labels] = []
    private var metadata: [Labels] = []

    /// An output for streams with these labels.
    init(labels: [Int: Labels]) {
        self.labels = labels
    }

    /// Empties the lines of a buffer that may be another one than last time.
    func begin(_ buffer: inout LogLineBuffer) {
        buffer.removeLines()
        if buffer.streams.count != streams.count { buffer.streams = streams }
        if buffer.metadata.count != metadata.count { buffer.metadata = metadata }
    }

    /// Adds a line.
    mutating func append(
        to buffer: inout LogLineBuffer, stream: Int, nanoseconds: Int64, line: ArraySlice<UInt8>,
        metadata found: Labels?, severity: UInt8?
    ) {
        let number: Int32
        if let known = streamNumbers[stream] {
            number = known
        } else {
            number = Int32(streams.count)
            streamNumbers[stream] = number
            streams.append(labels[stream] ?? .empty)
            buffer.streams.append(labels[stream] ?? .empty)
        }
        buffer.streamIndexes.append(number)
        buffer.metadataIndexes.append(found.map { metadataNumber($0, &buffer) } ?? -1)
        if let severity { buffer.severities.append(severity) }
        buffer.timesNanoseconds.append(nanoseconds)
        buffer.bytes.append(contentsOf: line)
        buffer.lineEnds.append(buffer.bytes.count)
    }

    private mutating func metadataNumber(_ labels: Labels, _ buffer: inout LogLineBuffer) -> Int32 {
        if let known = metadataNumbers[labels] { return known }
        let number = Int32(metadata.count)
        metadataNumbers[labels] = number
        metadata.append(labels)
        buffer.metadata.append(labels)
        return number
    }
}
