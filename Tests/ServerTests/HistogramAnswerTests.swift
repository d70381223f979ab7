import Telemetry
import Testing
import Wire

@testable import Server

/// Native histograms in the JSON of the Prometheus API, as Prometheus 3 writes them.
struct HistogramAnswerTests {
    private func text(_ histogram: NativeHistogram) -> String {
        var writer = JSONWriter()
        HistogramAnswer.write(histogram, &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func boundsAreThoseOfPrometheusToTheLastBit() {
        var histogram = NativeHistogram()
        (histogram.schema, histogram.count, histogram.sum) = (2, 8, 1.5)
        (histogram.zeroThreshold, histogram.zeroCount) = (0.001, 1)
        (histogram.positiveSpans, histogram.positiveCounts) = ([.init(offset: -2, length: 3)], [1, 0, 2])
        (histogram.negativeSpans, histogram.negativeCounts) = ([.init(offset: 2, length: 1)], [4])
        #expect(
            text(histogram)
                == #"{"count":"8","sum":"1.5","buckets":[[1,"-1.414213562373095","-1.189207115002721","4"],"#
                + #"[3,"-0.001","0.001","1"],[0,"0.5946035575013605","0.7071067811865475","1"],"#
                + #"[0,"0.8408964152537144","1","2"]]}"#)
    }

    @Test func theFirstCustomBucketIsClosedAtBothEnds() {
        var histogram = NativeHistogram()
        (histogram.schema, histogram.count, histogram.sum) = (NativeHistogram.customBucketsSchema, 6, 9)
        histogram.customBounds = [-2, 5]
        (histogram.positiveSpans, histogram.positiveCounts) = ([.init(offset: 0, length: 3)], [1, 2, 3])
        #expect(
            text(histogram)
                == #"{"count":"6","sum":"9","buckets":[[3,"-Inf","-2","1"],[0,"-2","5","2"],[0,"5","+Inf","3"]]}"#)
    }

    @Test func emptyBucketsAndAZeroBucketBelowZeroAreLeftOut() {
        var histogram = NativeHistogram()
        (histogram.positiveSpans, histogram.positiveCounts) = ([.init(offset: 0, length: 2)], [0, -3])
        (histogram.zeroThreshold, histogram.zeroCount) = (0.5, -1)
        #expect(text(histogram) == #"{"count":"0","sum":"0","buckets":[[0,"1","2","-3"]]}"#)
        #expect(text(NativeHistogram()) == #"{"count":"0","sum":"0"}"#)
    }
}
