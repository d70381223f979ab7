internal import Synchronization
internal import Telemetry

/// One reader's place in the order of arrival. Filters on the reader's own task, so a slow or costly tail holds up
/// nobody.
final class TailSubscription: LogSubscription {
    /// What one event holds at most; whole batches, so a single large one may be more.
    static let linesMaximum = 1000
    static let batchesMaximum = 64

    private struct State {
        var position: UInt64
        /// Numbers that `streamNumbers` gave out; -1 for a stream that is not asked for.
        var streamNumbers: [Labels: Int32] = [:]
        var streams: [Labels] = []
    }

    private let hub: TailHub
    private let matchers: [LabelMatcher]
    private let filter: LineFilter
    private let missed: @Sendable (_ after: UInt64, _ through: UInt64) -> (lines: Int, range: LogTimeRange)?
    private let state: Mutex<State>

    /// A tail of what comes after `position`. `missed` tells how many lines in which time are stored between two
    /// positions.
    init(
        hub: TailHub, matchers: [LabelMatcher], filter: LineFilter, position: UInt64,
        missed: @escaping @Sendable (UInt64, UInt64) -> (lines: Int, range: LogTimeRange)?
    ) {
        self.hub = hub
        self.matchers = matchers
        self.filter = filter
        self.missed = missed
        state = Mutex(State(position: position))
    }

    func next() async throws -> TailEvent? {
        while true {
            try Task.checkCancellation()
            let position = state.withLock { $0.position }
            switch hub.batches(after: position, maximum: TailSubscription.batchesMaximum) {
            case .closed:
                return nil
            case .nothing:
                await hub.wait(after: position)
            case .behind(let forgotten):
                state.withLock { $0.position = forgotten }
                guard let gap = missed(position, forgotten) else { continue }
                return .missed(lines: gap.lines, range: gap.range, next: TailPosition(rawValue: forgotten))
            case .batches(let batches):
                if let event = take(batches) { return event }
            }
        }
    }

    /// Moves behind as many batches as make one event; nil when none of their lines is asked for.
    private func take(_ batches: [TailBatch]) -> TailEvent? {
        state.withLock { state in
            var buffer = LogLineBuffer()
            buffer.streams = state.streams
            for batch in batches {
                for arrived in batch.streams {
                    let number = number(of: arrived.lines.labels, &state, &buffer)
                    if number >= 0 { append(arrived, number, to: &buffer) }
                }
                state.position = batch.position
                if buffer.count >= TailSubscription.linesMaximum { break }
            }
            guard buffer.count > 0 else { return nil }
            return .lines(buffer, next: TailPosition(rawValue: state.position))
        }
    }

    private func number(of labels: Labels, _ state: inout State, _ buffer: inout LogLineBuffer) -> Int32 {
        if let known = state.streamNumbers[labels] { return known }
        guard matchers.allSatisfy({ $0.matches(labels) }) else {
            state.streamNumbers[labels] = -1
            return -1
        }
        let number = Int32(state.streams.count)
        state.streamNumbers[labels] = number
        state.streams.append(labels)
        buffer.streams.append(labels)
        return number
    }

    private func append(_ arrived: TailBatch.Lines, _ stream: Int32, to buffer: inout LogLineBuffer) {
        let lines = arrived.lines
        for range in arrived.kept {
            for index in range where filter.isEmpty || filter.matches(lines.line(index)) {
                var metadata: Int32 = -1
                let entry = LineColumns.firstMetadata(lines.metadata, atOrAfter: index)
                if entry < lines.metadata.count, lines.metadata[entry].lineIndex == index {
                    metadata = Int32(buffer.metadata.count)
                    buffer.metadata.append(lines.metadata[entry].labels)
                }
                buffer.streamIndexes.append(stream)
                buffer.metadataIndexes.append(metadata)
                buffer.timesNanoseconds.append(lines.timesNanoseconds[index])
                buffer.bytes.append(contentsOf: lines.line(index))
                buffer.lineEnds.append(buffer.bytes.count)
            }
        }
    }
}
