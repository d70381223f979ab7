package import Telemetry

/// Lines counted by shape and bucket of time, exactly, in bounded memory.
package struct PatternCounter {
    /// One shape.
    package struct Pattern: Sendable {
        /// The shape as `|>` matches it.
        package var text: String
        /// Lines per bucket.
        package var counts: [Int]
        package var lines: Int
        package var bytes: Int
        /// The first line met.
        package var example: LogLine
        /// The level of that line.
        package var severity: Severity

        fileprivate init(text: String, counts: [Int], lines: Int, bytes: Int, example: LogLine) {
            self.text = text
            self.counts = counts
            self.lines = lines
            self.bytes = bytes
            self.example = example
            severity = Severity(
                word: LineLevel.name(of: example.text[...], stream: example.stream, metadata: example.metadata))
        }
    }

    /// What a store counted by its own templates. It rebuilt no line, so there are no bytes.
    package static func patterns(_ counts: [LogPatternCounts]) -> [Pattern] {
        counts.map { counts in
            let line = LogLine(
                nanoseconds: counts.exampleNanoseconds, text: counts.example, labels: counts.exampleLabels,
                stream: counts.exampleLabels)
            return Pattern(text: counts.pattern, counts: counts.lines, lines: counts.total, bytes: 0, example: line)
        }
    }

    /// Lines of shapes beyond this many are counted together, so that lines without any shape cost no memory.
    package static let patternsMaximum = 10_000

    private let range: LogTimeRange
    private let bucketNanoseconds: Int64
    private let buckets: Int
    private var places: [[UInt8]: Int] = [:]
    /// The shapes in the order in which they were met.
    package private(set) var patterns: [Pattern] = []
    /// Lines of shapes that were too many.
    package private(set) var otherLines = 0
    /// All lines.
    package private(set) var lines = 0

    /// Counts within `range`, in buckets of `bucketNanoseconds`.
    package init(range: LogTimeRange, bucketNanoseconds: Int64) {
        self.range = range
        self.bucketNanoseconds = max(1, bucketNanoseconds)
        let span = range.endNanoseconds.subtractingReportingOverflow(range.startNanoseconds)
        buckets = Int(max(1, (span.partialValue &+ self.bucketNanoseconds &- 1) / self.bucketNanoseconds))
    }

    /// Counts a line.
    package mutating func add(_ line: LogLine) {
        lines += 1
        let shape = LineShape.pattern(of: line.text)
        let place: Int
        if let known = places[shape] {
            place = known
        } else {
            guard patterns.count < PatternCounter.patternsMaximum else {
                otherLines += 1
                return
            }
            place = patterns.count
            places[shape] = place
            patterns.append(
                Pattern(
                    text: String(decoding: shape, as: UTF8.self), counts: [Int](repeating: 0, count: buckets), lines: 0,
                    bytes: 0, example: line))
        }
        let bucket = Int((line.nanoseconds - range.startNanoseconds) / bucketNanoseconds)
        if patterns[place].counts.indices.contains(bucket) { patterns[place].counts[bucket] += 1 }
        patterns[place].lines += 1
        patterns[place].bytes += line.text.count
    }
}
