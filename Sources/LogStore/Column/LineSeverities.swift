internal import Telemetry

/// The severities of lines, as numbers of `LineSeverity`.
enum LineSeverities {
    /// Those of lines that lie in memory as they came.
    static func numbers(of lines: LineColumns, labels: Labels) -> [UInt8] {
        var numbers: [UInt8] = []
        numbers.reserveCapacity(lines.count)
        forEach(of: lines, lines: 0..<Int32(lines.count), labels: labels) { numbers.append($1) }
        return numbers
    }

    /// Calls `body` with each of `wanted`, which rise, and its severity.
    static func forEach(
        of lines: LineColumns, lines wanted: some Sequence<Int32>, labels: Labels, _ body: (Int32, UInt8) -> Void
    ) {
        if let number = LineSeverity.number(ofStream: labels) {
            for line in wanted { body(line, number) }
            return
        }
        var next = 0
        lines.bytes.withUnsafeBytes { bytes in
            for line in wanted {
                while next < lines.metadata.count, lines.metadata[next].lineIndex < Int(line) { next += 1 }
                let isThere = next < lines.metadata.count && lines.metadata[next].lineIndex == Int(line)
                let text = UnsafeRawBufferPointer(
                    rebasing: bytes[lines.lineStart(Int(line))..<lines.lineEnds[Int(line)]])
                let metadata = isThere ? lines.metadata[next].labels : .empty
                body(line, LineSeverity.number(of: text, metadata: metadata))
            }
        }
    }

    /// Those of all lines of a block. One that was written before severities were stored is rebuilt for them, once
    /// while it stays open.
    static func numbers(of block: OpenBlock, stored: StoredBlock, labels: Labels) throws -> [UInt8] {
        if let known = try block.severities() { return known }
        var lines = LineColumns()
        try block.complete().append(0..<Int32(block.summary.lines), to: &lines.bytes, ends: &lines.lineEnds)
        lines.timesNanoseconds = try block.times()
        lines.metadata = (try? stored.metadata()) ?? []
        let numbers = numbers(of: lines, labels: labels)
        block.keepSeverities(numbers)
        return numbers
    }
}
