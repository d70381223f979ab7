/// Joins the pieces of long lines. Docker cuts a line every 16 KiB into records without a line end; only the last one
/// has it. Pure: bytes in, lines out.
///
/// A line stands for the bytes of its own records that lie together at its end, so that the intervals of the two
/// streams of a file never overlap even where their pieces alternate.
struct LineJoiner {
    /// A whole line, or as much of it as will ever come.
    struct Line: Equatable {
        var stream: DockerRecord.Stream
        var nanoseconds: Int64
        /// Without its line end.
        var text: [UInt8]
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
        var text: [UInt8] = []
        var nanoseconds: Int64 = 0
        /// Where the first record begins, which is where reading resumes while the line is not complete.
        var start: UInt64 = 0
        /// The records at the end that lie together.
        var run: Range<UInt64> = 0..<0
    }

    private var pending: [Pending?] = [nil, nil]

    /// A longer line is cut, so that one line cannot fill the memory.
    static let lineBytesMaximum = 256 << 10
    /// Docker flushes a piece without a line end when its buffer of this size is full, or at the end of the stream.
    static let dockerBufferBytes = 16 << 10

    /// Takes the record whose bytes in the file are `offsets`; `text` is its text with the line end, if it has one.
    mutating func take(
        _ record: DockerRecord, text: ArraySlice<UInt8>, offsets: Range<UInt64>, emit: (Line) -> Void
    ) {
        let isComplete = text.last == UInt8(ascii: "\n")
        let body = isComplete ? text.dropLast() : text
        guard var line = pending[record.stream.rawValue] else {
            if isComplete {
                emit(
                    Line(
                        stream: record.stream, nanoseconds: record.nanoseconds, text: Array(body), offsets: offsets,
                        ending: .complete))
            } else {
                let begun = Pending(
                    text: Array(body), nanoseconds: record.nanoseconds, start: offsets.lowerBound, run: offsets)
                hold(begun, record.stream, isFinal: body.count < Self.dockerBufferBytes, emit)
            }
            return
        }
        line.text.append(contentsOf: body)
        let isAdjacent = line.run.upperBound == offsets.lowerBound
        line.run = (isAdjacent ? line.run.lowerBound : offsets.lowerBound)..<offsets.upperBound
        if isComplete {
            pending[record.stream.rawValue] = nil
            emit(Self.line(line, record.stream, .complete))
        } else {
            hold(line, record.stream, isFinal: body.count < Self.dockerBufferBytes, emit)
        }
    }

    /// A piece that did not fill Docker's buffer is the last its stream will ever write: nothing to wait for.
    private mutating func hold(_ line: Pending, _ stream: DockerRecord.Stream, isFinal: Bool, _ emit: (Line) -> Void) {
        if isFinal {
            pending[stream.rawValue] = nil
            emit(Self.line(line, stream, .unterminated))
        } else if line.text.count >= Self.lineBytesMaximum {
            pending[stream.rawValue] = nil
            emit(Self.line(line, stream, .split))
        } else {
            pending[stream.rawValue] = line
        }
    }

    /// Gives out what has no line end: the file is over, or its container ended.
    mutating func flush(emit: (Line) -> Void) {
        for stream in DockerRecord.Stream.allCases {
            guard let line = pending[stream.rawValue] else { continue }
            pending[stream.rawValue] = nil
            emit(Self.line(line, stream, .unterminated))
        }
    }

    /// Whether pieces are held back.
    var isWaiting: Bool { pending.contains { $0 != nil } }

    /// Where reading must resume so that nothing is lost, when everything up to `offset` was taken.
    func resumeOffset(_ offset: UInt64) -> UInt64 {
        pending.reduce(offset) { earliest, line in min(earliest, line?.start ?? earliest) }
    }

    private static func line(_ pending: Pending, _ stream: DockerRecord.Stream, _ ending: Ending) -> Line {
        Line(
            stream: stream, nanoseconds: pending.nanoseconds, text: pending.text, offsets: pending.run, ending: ending)
    }
}
