import Telemetry
import Testing

/// A histogram that no query could make sense of is told apart from one that is only odd.
struct HistogramFlawTests {
    private typealias Change = (inout NativeHistogram) -> Void

    private var exponential: NativeHistogram {
        var histogram = NativeHistogram()
        (histogram.schema, histogram.zeroThreshold, histogram.zeroCount, histogram.isInteger) = (1, 0.001, 1, true)
        (histogram.positiveSpans, histogram.positiveCounts) = ([.init(offset: -3, length: 2)], [3, 0])
        (histogram.negativeSpans, histogram.negativeCounts) = ([.init(offset: 0, length: 1)], [2])
        (histogram.count, histogram.sum) = (6, -1.5)
        return histogram
    }

    private var custom: NativeHistogram {
        var histogram = NativeHistogram()
        histogram.schema = NativeHistogram.customBucketsSchema
        histogram.customBounds = [-1, 0.5, 2]
        histogram.positiveSpans = [.init(offset: 1, length: 1), .init(offset: 1, length: 1)]
        (histogram.positiveCounts, histogram.count, histogram.sum) = ([1, 4], 5, 9)
        return histogram
    }

    @Test func whatCanBeIsTaken() {
        #expect(exponential.flaw == nil)
        #expect(custom.flaw == nil)
        let changes: [Change] = [
            { ($0.isInteger, $0.count) = (false, 99) }, { ($0.sum, $0.count) = (.nan, 8) },
            { $0.sum = .infinity }, { $0.schema = -4 }, { $0.schema = 8 },
            { $0.positiveSpans = [.init(offset: .max - 2, length: 2)] },
            { $0.positiveSpans = [.init(offset: .min + 1, length: 2)] },
            {
                $0.positiveSpans = [
                    .init(offset: 0, length: 1), .init(offset: 0, length: 0), .init(offset: 9, length: 1),
                ]
            },
            { ($0.isInteger, $0.positiveCounts) = (false, [.nan, 1]) },
        ]
        for change in changes {
            var histogram = exponential
            change(&histogram)
            #expect(histogram.flaw == nil)
        }
        #expect(NativeHistogram().flaw == nil)
    }

    @Test func whatCannotBeIsNamed() throws {
        let changes: [(String, Change)] = [
            ("schema -5", { $0.schema = -5 }), ("schema 9", { $0.schema = 9 }), ("schema 100", { $0.schema = 100 }),
            ("must not have custom bounds", { $0.customBounds = [1] }),
            (
                "positive side: span number 2 with offset -5",
                {
                    $0.positiveSpans = [.init(offset: 0, length: 1), .init(offset: -5, length: 1)]
                }
            ),
            (
                "beyond 32 bits",
                {
                    $0.positiveSpans = [.init(offset: .max, length: 1), .init(offset: .max, length: 1)]
                }
            ),
            ("beyond 32 bits", { $0.positiveSpans = [.init(offset: .min, length: 2)] }),
            ("spans need 2 buckets, have 1 buckets", { $0.positiveCounts = [3] }),
            (
                "negative side: span number 1 reaches bucket 2147483648",
                {
                    $0.negativeSpans = [.init(offset: .min + 1, length: .max)]
                }
            ),
            ("negative side: bucket number 1", { $0.negativeCounts = [-2] }),
            ("6.0 observations found in buckets, but the Count field is 7.0", { $0.count = 7 }),
            ("but the Count field is 1.1529", { $0.count = 0x1p60 }),
            ("6.0 observations found in buckets, but the Count field is 5.0", { ($0.sum, $0.count) = (.nan, 5) }),
        ]
        for (words, change) in changes {
            var histogram = exponential
            change(&histogram)
            let flaw = try #require(histogram.flaw, "\(words)")
            #expect(flaw.contains(words), "\(flaw)")
        }
    }

    @Test func whatCustomBucketsCannotBeIsNamed() throws {
        let changes: [(String, Change)] = [
            ("zero count", { $0.zeroCount = 1 }), ("zero threshold", { $0.zeroThreshold = 1 }),
            ("negative", { $0.negativeSpans = [.init(offset: 0, length: 0)] }),
            ("strictly increasing", { $0.customBounds = [-1, 2, 2] }),
            ("strictly increasing", { $0.customBounds = [-1, .nan, 2] }),
            ("must be finite", { $0.customBounds = [-1, 2, .infinity] }),
            ("too few", { $0.customBounds = [-1, 0.5] }),
            ("before the first bucket", { $0.positiveSpans[0].offset = -1 }),
        ]
        for (words, change) in changes {
            var histogram = custom
            change(&histogram)
            let flaw = try #require(histogram.flaw, "\(words)")
            #expect(flaw.contains(words), "\(flaw)")
        }
    }
}
