internal import Telemetry

/// Lines of one stream in columns, as a head holds them and a block restores them.
struct LineColumns: Sendable, Equatable {
    var timesNanoseconds: [Int64] = []
    /// Line i is `bytes[lineEnds[i-1]..<lineEnds[i]]`.
    var lineEnds: [Int] = []
    var bytes: [UInt8] = []
    /// Structured metadata of the lines that have any, ordered by line.
    var metadata: [LogLineMetadata] = []
    /// What `originIndexes` point into.
    var origins: [LogOrigin] = []
    /// One per line, -1 for a line without an origin; empty when no line has one.
    var originIndexes: [Int32] = []
    /// One per line, 0 for a line without an origin; empty when no line has one.
    var offsetStarts: [UInt64] = []
    /// As `offsetStarts`.
    var offsetEnds: [UInt64] = []

    /// The number of lines.
    var count: Int { timesNanoseconds.count }

    /// The memory of a line beside its bytes, for budgets.
    static let lineOverheadBytes = 40

    /// The offset of the first byte of line `index`.
    func lineStart(_ index: Int) -> Int { index == 0 ? 0 : lineEnds[index - 1] }

    /// Whether times never fall.
    var isSorted: Bool {
        for index in timesNanoseconds.indices.dropFirst()
        where timesNanoseconds[index] < timesNanoseconds[index - 1] { return false }
        return true
    }

    /// Makes room for lines.
    mutating func reserveCapacity(lines: Int, bytes: Int) {
        timesNanoseconds.reserveCapacity(lines)
        lineEnds.reserveCapacity(lines)
        self.bytes.reserveCapacity(bytes)
    }

    /// Adds the lines `range` of `lines`.
    mutating func append(_ lines: LogLines, _ range: Range<Int>) {
        if range.isEmpty { return }
        let before = count
        let firstByte = range.lowerBound == 0 ? 0 : lines.lineEnds[range.lowerBound - 1]
        let shift = bytes.count - firstByte
        timesNanoseconds.append(contentsOf: lines.timesNanoseconds[range])
        bytes.append(contentsOf: lines.bytes[firstByte..<lines.lineEnds[range.upperBound - 1]])
        for index in range { lineEnds.append(lines.lineEnds[index] + shift) }
        var position = LineColumns.firstMetadata(lines.metadata, atOrAfter: range.lowerBound)
        while position < lines.metadata.count, lines.metadata[position].lineIndex < range.upperBound {
            let entry = lines.metadata[position]
            let index = entry.lineIndex - range.lowerBound + before
            metadata.append(LogLineMetadata(lineIndex: index, labels: entry.labels))
            position += 1
        }
        appendOrigin(lines.origin, lines.offsetStarts, lines.offsetEnds, range, before: before)
    }

    /// The index of the first entry of `metadata` for line `line` or a later one.
    static func firstMetadata(_ metadata: [LogLineMetadata], atOrAfter line: Int) -> Int {
        var low = 0
        var high = metadata.count
        while low < high {
            let middle = (low + high) / 2
            if metadata[middle].lineIndex < line { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func appendOrigin(
        _ origin: LogOrigin?, _ starts: [UInt64], _ ends: [UInt64], _ range: Range<Int>, before: Int
    ) {
        guard let origin else {
            guard !originIndexes.isEmpty else { return }
            appendNoOrigin(range.count)
            return
        }
        if originIndexes.isEmpty { appendNoOrigin(before) }
        let index: Int
        if origins.last == origin {
            index = origins.count - 1
        } else if let known = origins.firstIndex(of: origin) {
            index = known
        } else {
            index = origins.count
            origins.append(origin)
        }
        originIndexes.append(contentsOf: repeatElement(Int32(index), count: range.count))
        offsetStarts.append(contentsOf: starts[range])
        offsetEnds.append(contentsOf: ends[range])
    }

    private mutating func appendNoOrigin(_ lines: Int) {
        originIndexes.append(contentsOf: repeatElement(-1, count: lines))
        offsetStarts.append(contentsOf: repeatElement(0, count: lines))
        offsetEnds.append(contentsOf: repeatElement(0, count: lines))
    }

    /// Adds all lines of `other`.
    mutating func append(_ other: LineColumns) {
        let before = count
        let shift = bytes.count
        timesNanoseconds.append(contentsOf: other.timesNanoseconds)
        bytes.append(contentsOf: other.bytes)
        for end in other.lineEnds { lineEnds.append(end + shift) }
        for entry in other.metadata {
            metadata.append(LogLineMetadata(lineIndex: entry.lineIndex + before, labels: entry.labels))
        }
        if other.originIndexes.isEmpty {
            if !originIndexes.isEmpty { appendNoOrigin(other.count) }
            return
        }
        if originIndexes.isEmpty { appendNoOrigin(before) }
        var renumbered: [Int32] = []
        for origin in other.origins {
            if let known = origins.firstIndex(of: origin) {
                renumbered.append(Int32(known))
            } else {
                renumbered.append(Int32(origins.count))
                origins.append(origin)
            }
        }
        for index in other.originIndexes { originIndexes.append(index < 0 ? -1 : renumbered[Int(index)]) }
        offsetStarts.append(contentsOf: other.offsetStarts)
        offsetEnds.append(contentsOf: other.offsetEnds)
    }

    /// The same lines ordered by time; lines of one time keep their order.
    func sorted() -> LineColumns {
        if isSorted { return self }
        let order = timesNanoseconds.indices.sorted { left, right in
            let (a, b) = (timesNanoseconds[left], timesNanoseconds[right])
            return a < b || (a == b && left < right)
        }
        return keeping(order)
    }

    /// Only these lines, in this order.
    func keeping(_ order: [Int]) -> LineColumns {
        var result = LineColumns()
        result.bytes.reserveCapacity(bytes.count)
        result.origins = origins
        let labels = Dictionary(uniqueKeysWithValues: metadata.map { ($0.lineIndex, $0.labels) })
        for (position, index) in order.enumerated() {
            result.timesNanoseconds.append(timesNanoseconds[index])
            result.bytes.append(contentsOf: bytes[lineStart(index)..<lineEnds[index]])
            result.lineEnds.append(result.bytes.count)
            if let found = labels[index] {
                result.metadata.append(LogLineMetadata(lineIndex: position, labels: found))
            }
            if !originIndexes.isEmpty {
                result.originIndexes.append(originIndexes[index])
                result.offsetStarts.append(offsetStarts[index])
                result.offsetEnds.append(offsetEnds[index])
            }
        }
        return result
    }
}
