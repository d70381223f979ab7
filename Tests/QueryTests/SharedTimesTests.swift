import Telemetry
import TestSupport
import Testing

@testable import Query

/// Series that share their times are read once for all; whatever they share or do not, the answer is the same.
struct SharedTimesTests {
    /// Hands out the same arrays of times to series that have them, as a store does, or copies.
    private struct Source: SeriesSource {
        var series: [(labels: Labels, chunks: [(times: [Int64], values: [Double])])] = []
        var isSharing = true

        final class Cursor: SeriesCursor {
            let labels: Labels
            private var chunks: ArraySlice<(times: [Int64], values: [Double])>
            private let isSharing: Bool

            init(_ labels: Labels, _ chunks: [(times: [Int64], values: [Double])], isSharing: Bool) {
                self.labels = labels
                self.chunks = chunks[...]
                self.isSharing = isSharing
            }

            func next(into buffer: inout SampleBuffer) throws -> Bool {
                buffer.removeAll()
                guard let chunk = chunks.popFirst() else { return false }
                if isSharing {
                    buffer.timesMilliseconds = chunk.times
                } else {
                    buffer.timesMilliseconds.append(contentsOf: chunk.times)
                }
                buffer.values.append(contentsOf: chunk.values)
                return true
            }
        }

        func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
            series.map { Cursor($0.labels, $0.chunks, isSharing: isSharing) }
        }
        func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] { series.map(\.labels) }
        func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
        func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
        func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] { [] }
    }

    private static func source(seed: Int) -> Source {
        var generator = SeededGenerator(seed: UInt64(seed))
        var grids: [[[Int64]]] = []
        for grid in 0..<3 {
            var chunks: [[Int64]] = []
            for chunk in 0..<3 {
                var times: [Int64] = []
                for row in 0..<20 {
                    let number = Int64(chunk * 20 + row)
                    times.append(number * 15_000 + Int64(grid) * 700)
                }
                chunks.append(times)
            }
            grids.append(chunks)
        }
        var source = Source()
        for number in 0..<30 {
            let grid = grids[generator.int(in: 0..<3)]
            var total = 0.0
            var chunks: [(times: [Int64], values: [Double])] = []
            for times in grid.prefix(generator.int(in: 1..<4)) {
                let hasStaleMarkers = generator.oneIn(3)
                var values: [Double] = []
                for _ in times {
                    let step = Double(generator.int(in: 0..<50))
                    total = generator.oneIn(25) ? 0 : total + step / 4
                    values.append(hasStaleMarkers && generator.oneIn(10) ? Sample.stale : total)
                }
                chunks.append((times: times, values: values))
            }
            source.series.append((Labels(["__name__": "m_total", "n": String(100 + number)]), chunks))
        }
        return source
    }

    @Test(arguments: 0..<20) func sharedAndCopiedTimesGiveTheSameAnswer(seed: Int) throws {
        let sharing = Self.source(seed: seed)
        var copying = sharing
        copying.isSharing = false
        for query in [
            "rate(m_total[2m])", "increase(m_total[1m])", "delta(m_total[3m])", "sum(rate(m_total[2m]))", "m_total",
            "count(m_total)", "max_over_time(m_total[1m])", "count_over_time(m_total[90s])", "changes(m_total[2m])",
        ] {
            let answers = try [sharing, copying].map { source in
                // Every series by itself knows of no other's times.
                try Engine(series: source).range(
                    query, startMilliseconds: 0, endMilliseconds: 900_000, stepMilliseconds: 20_000,
                    in: QueryContext(clock: ManualClock()))
            }
            #expect("\(answers[0])" == "\(answers[1])", "\(query), seed \(seed)")
        }
    }

    @Test(arguments: 0..<20) func aSeriesAmongOthersHasTheValuesItHasAlone(seed: Int) throws {
        let source = Self.source(seed: seed)
        func series(_ source: Source) throws -> [String] {
            let value = try Engine(series: source).range(
                "rate(m_total[2m])", startMilliseconds: 0, endMilliseconds: 900_000, stepMilliseconds: 20_000,
                in: QueryContext(clock: ManualClock()))
            guard case .matrix(let series) = value else { return [] }
            return series.map { "\($0.labels) \($0.timesMilliseconds) \($0.values.map(\.bitPattern))" }
        }
        let alone = try source.series.flatMap { try series(Source(series: [$0])) }
        #expect(try series(source) == alone, "seed \(seed)")
    }
}
