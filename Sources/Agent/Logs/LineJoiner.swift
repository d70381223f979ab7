/// Joins the pieces of long lines: engines cut lines into records of which only the last says that the line is whole.
/// Pure: bytes in, lines out.
///
/// A line stands for the bytes of its own records that lie together at its end, so that the intervals of the two
/// streams of a file never overlap even where their pieces alternate.
struct LineJoiner {
    /// A whole line, or as much of it as will ever come. Its text is handed over beside it.
    struct Line: Equatable {
        var stream: LogStream
        /// Nil where the format has no times.
        var nanoseconds: Int64?
        var offsets: Range<UInt64>
        var ending: Ending
    }

    /// How a line ended.
    enum Ending: Equatable {
        case complete
        /// Its writer ended, or was silent for long, before the line did.
        case unterminated
        /// Cut at the limit; the rest follows as another line.
        case split
    }

    private struct Pending {
        var text: [UInt8]
        var nanoseconds: Int64?
        /// Where the first record begins, which is where reading resumes while the line is not complete.
        var start: UInt64
        /// The records at the end that lie together.
        var run: Range<UInt64>
    }

    private var pending: [Pending?] = [nil, nil]
    /// Whether pieces are held back.
    private(set) var isWaiting = false

    /// A longer line is cut, so that one line cannot fill the memory.
    static let lineBytesMaximum = 256 << 10

    /// Takes the record whose bytes in the file are `offsets`; `text` is its text without the line end.
    @inline(__always)
    mutating func take(
        _ record: LogRecord, text: [UInt8], offsets: Range<UInt64>, emit: (Line, [UInt8]) -> Void
    ) {
        // Nearly every line is one record.
        if record.ending != .partial, !isWaiting {
            let ending: Ending = record.ending == .complete ? .complete : .unterminated
            let line = Line(
                stream: record.stream, nanoseconds: record.nanoseconds, offsets: offsets, ending: ending)
            return emit(line, text)
        }
        join(record, text, offsets, emit)
    }

    private mutating func join(
        _ record: LogRecord, _ text: [UInt8], _ offsets: Range<UInt64>, _ emit: (Line, [UInt8]) -> Void
    ) {
        var line =
            pending[record.stream.rawValue]
            ?? Pending(text: [], nanoseconds: record.nanoseconds, start: offsets.lowerBound, run: offsets)
        pending[record.stream.rawValue] = nil
        line.text.append(contentsOf: text)
        let isAdjacent = line.run.upperBound == offsets.lowerBound || line.run == offsets
        line.run = (isAdjacent ? line.run.lowerBound : offsets.lowerBound)..<offsets.upperBound
        switch record.ending {
        case .complete: give(line, record.stream, .complete, emit)
        case .last: give(line, record.stream, .unterminated, emit)
        case .partial:
            if line.text.count >= Self.lineBytesMaximum {
                give(line, record.stream, .split, emit)
            } else {
                pending[record.stream.rawValue] = line
            }
        }
        isWaiting = pending.contains { $0 != nil }
    }

    /// Gives out what has no line end: the file is over, its container ended, or the rest does not come.
    mutating func flush(emit: (Line, [UInt8]) -> Void) {
        for stream in LogStream.allCases {
            guard let line = pending[stream.rawValue] else { continue }
            pending[stream.rawValue] = nil
            give(line, stream, .unterminated, emit)
        }
        isWaiting = false
    }

    /// Where reading must resume so that nothing is lost, when everything up to `offset` was taken.
    func resumeOffset(_ offset: UInt64) -> UInt64 {
        guard isWaiting else { return offset }
        return pending.reduce(offset) { earliest, line in min(earliest, line?.start ?? earliest) }
    }

    private func give(_ line: Pending, _ stream: LogStream, _ ending: Ending, _ emit: (Line, [UInt8]) -> Void) {
        emit(
            Line(stream: stream, nanoseconds: line.nanoseconds, offsets: line.run, ending: ending), line.text)
    }
}
