internal import Synchronization
internal import Telemetry
internal import TestSupport

/// A metric store in memory, for tests of the language alone. Hands out chunks of a few samples, so that every query
/// crosses chunk borders.
final class MemorySeriesSource: SampleAppender, SeriesSource {
    private struct Stored {
        var milliseconds: Int64
        var startMilliseconds: Int64
        var value: Double
        var histogram: NativeHistogram?
    }

    private let series = Mutex<[Labels: [Stored]]>([:])
    private let chunkSize: Int

    init(chunkSize: Int = 7) {
        self.chunkSize = chunkSize
    }

    func append(_ batch: SampleBatch) async throws -> AppendReceipt {
        series.withLock { series in
            for group in batch.groups {
                for index in group.values.indices {
                    let labels = group.series[Int(group.seriesIndexes[index])].labels
                    let start = group.startTimesMilliseconds.isEmpty ? 0 : group.startTimesMilliseconds[index]
                    MemorySeriesSource.insert(
                        Stored(
                            milliseconds: group.timesMilliseconds[index], startMilliseconds: start,
                            value: group.values[index]), into: &series[labels, default: []])
                }
                for sample in group.histograms {
                    MemorySeriesSource.insert(
                        Stored(
                            milliseconds: sample.milliseconds, startMilliseconds: sample.startMilliseconds, value: 0,
                            histogram: sample.histogram),
                        into: &series[group.series[Int(sample.seriesIndex)].labels, default: []])
                }
            }
        }
        return AppendReceipt(accepted: batch.sampleCount)
    }

    /// Keeps the samples in order; a second one at the same time is dropped.
    private static func insert(_ sample: Stored, into samples: inout [Stored]) {
        let place = samples.lastIndex { $0.milliseconds <= sample.milliseconds }
        if let place, samples[place].milliseconds == sample.milliseconds { return }
        samples.insert(sample, at: place.map { $0 + 1 } ?? 0)
    }

    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
        let found = series.withLock { series in
            series.filter { labels, _ in request.matchers.allSatisfy { $0.matches(labels) } }
        }
        return found.sorted { $0.key < $1.key }.map { labels, samples in
            Cursor(labels, samples.filter { request.range.contains($0.milliseconds) }, chunkSize: chunkSize)
        }
    }

    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] {
        try select(request, in: context).map(\.labels)
    }

    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        Set(try series(request, in: context).flatMap { $0.pairs.map(\.name) }).sorted()
    }

    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        Set(try series(request, in: context).compactMap { $0[name] }).sorted()
    }

    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] { [] }

    /// Walks over the samples of one series; a chunk never mixes numbers and histograms.
    private final class Cursor: SeriesCursor {
        let labels: Labels
        private var rest: ArraySlice<Stored>
        private let chunkSize: Int

        init(_ labels: Labels, _ samples: [Stored], chunkSize: Int) {
            self.labels = labels
            self.chunkSize = chunkSize
            rest = samples[...]
        }

        func next(into buffer: inout SampleBuffer) throws -> Bool {
            buffer.removeAll()
            guard let first = rest.first else { return false }
            let isHistogram = first.histogram != nil
            while let sample = rest.first, buffer.timesMilliseconds.count < chunkSize,
                (sample.histogram != nil) == isHistogram
            {
                rest.removeFirst()
                buffer.timesMilliseconds.append(sample.milliseconds)
                buffer.startTimesMilliseconds.append(sample.startMilliseconds)
                if let histogram = sample.histogram {
                    buffer.histograms.append(histogram)
                } else {
                    buffer.values.append(sample.value)
                }
            }
            return true
        }
    }
}
