internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// A log file on some host: grows, and any part of it is sent, in any order and more than once.
struct SourceFileModel {
    let labels: Labels
    let origin: LogOrigin
    private var lines: [(offsets: Range<UInt64>, nanoseconds: Int64, line: [UInt8], metadata: Labels)] = []
    private var sent = 0

    init(_ labels: Labels, _ origin: LogOrigin) {
        self.labels = labels
        self.origin = origin
    }

    /// Writes some more lines.
    mutating func grow(_ generator: inout LogGenerator, now: Int64) {
        for _ in 0..<generator.random.int(in: 1..<8) {
            let start = lines.last?.offsets.upperBound ?? 0
            let line = generator.line()
            let metadata = generator.random.oneIn(5) ? generator.labels("m") : .empty
            let end = start + UInt64(line.count) + 1
            lines.append((start..<end, SourceFileModel.time(&generator, now), line, metadata))
        }
    }

    /// Near now; sometimes hours old, ahead of the clock, or the very same time as others.
    static func time(_ generator: inout LogGenerator, _ now: Int64) -> Int64 {
        let second: Int64 = 1_000_000_000
        return switch generator.random.int(in: 0..<12) {
        case 0: now - Int64(generator.random.int(in: 0..<8000)) * second
        case 1: now + Int64(generator.random.int(in: 0..<1200)) * second
        case 2..<5: now / second * second
        default: now + Int64(generator.random.int(in: -500..<500)) * 1_000_000
        }
    }

    /// The next lines, or any others.
    mutating func slice(_ generator: inout LogGenerator) -> LogLines {
        var columns = LogLines(labels: labels, origin: origin)
        let isNext = sent < lines.count && !generator.random.oneIn(4)
        let first = isNext ? sent : generator.random.int(in: 0..<lines.count)
        let last = min(lines.count, first + generator.random.int(in: 1..<10))
        for entry in lines[first..<last] {
            columns.append(
                nanoseconds: entry.nanoseconds, line: entry.line, offsets: entry.offsets, metadata: entry.metadata)
        }
        sent = max(sent, last)
        return columns
    }
}
