internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// Makes lines as hostile as a sender may send them.
struct LogGenerator {
    var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    /// Any bytes: text, empty, NUL, invalid UTF-8, repeated words.
    mutating func line() -> [UInt8] {
        switch random.int(in: 0..<8) {
        case 0: return []
        case 1: return random.bytes(random.int(in: 1..<40))
        case 2: return [0, 0xff, 0xc0, 0x80, 0x0a, 0]
        default:
            let words = ["GET", "/api", "error", "ERROR", "timeout", "10.0.0.7", "id=42", "ü", "done", "abcabc"]
            let count = random.int(in: 1..<7)
            return Array((0..<count).map { _ in random.pick(words) }.joined(separator: " ").utf8)
        }
    }

    /// A time near `base`, now and then far away.
    mutating func nanoseconds(near base: Int64) -> Int64 {
        if random.oneIn(50) { return random.pick([0, -1, Int64.min, Int64.max, base &- 1_000_000_000_000]) }
        return base &+ Int64(random.int(in: -50..<50)) * 1_000_000
    }

    /// A few labels.
    mutating func labels(_ prefix: String = "l") -> Labels {
        var pairs: [(name: String, value: String)] = []
        for name in 0..<random.int(in: 1..<4) { pairs.append(("\(prefix)\(name)", "v\(random.int(in: 0..<4))")) }
        return Labels(pairs)
    }

    /// Lines of one stream, with or without an origin, in any order.
    mutating func columns(lines count: Int) -> LineColumns {
        var columns = LineColumns()
        var offset: UInt64 = 0
        while columns.count < count {
            let origin = random.oneIn(3) ? nil : LogOrigin(source: "s\(random.int(in: 0..<3))", generation: 1)
            let run = lines(Labels(["a": "b"]), origin, count: random.int(in: 1..<20), offset: &offset)
            columns.append(run, 0..<run.count)
        }
        return columns
    }

    /// `count` lines for an append; with an origin they lie back to back from `offset` on.
    mutating func lines(
        _ labels: Labels, _ origin: LogOrigin?, count: Int, offset: inout UInt64,
        base: Int64 = 1_700_000_000_000_000_000
    ) -> LogLines {
        var lines = LogLines(labels: labels, origin: origin)
        for _ in 0..<count {
            let metadata = random.oneIn(4) ? self.labels("m") : .empty
            let line = self.line()
            let time = nanoseconds(near: base)
            if origin == nil {
                lines.append(nanoseconds: time, line: line, metadata: metadata)
            } else {
                let end = offset + UInt64(line.count) + 1
                lines.append(nanoseconds: time, line: line, offsets: offset..<end, metadata: metadata)
                offset = end
            }
        }
        return lines
    }
}
