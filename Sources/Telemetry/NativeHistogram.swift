/// A native histogram: exponential or custom buckets, float counts (integers below 2^53 are exact).
///
/// Source: Prometheus' native histogram specification; field names follow `prompb.Histogram`.
public struct NativeHistogram: Hashable, Sendable {
    /// Whether the counts went down since the sample before, and who says so.
    public enum CounterResetHint: UInt8, Sendable {
        case unknown = 0
        case reset = 1
        case notReset = 2
        case gauge = 3
    }

    /// A run of consecutive buckets.
    public struct Span: Hashable, Sendable {
        /// The gap to the span before, or the index of the first bucket for the first span.
        public var offset: Int32
        /// The number of buckets.
        public var length: UInt32

        /// A run of `length` buckets, `offset` behind the run before.
        public init(offset: Int32, length: UInt32) {
            self.offset = offset
            self.length = length
        }
    }

    /// The resolution: buckets grow by 2^(2^-schema); -53 means custom buckets.
    public static let customBucketsSchema: Int32 = -53

    public var schema: Int32 = 0
    /// Whether the buckets are those of `customBounds`.
    public var usesCustomBuckets: Bool { schema == NativeHistogram.customBucketsSchema }
    public var zeroThreshold: Double = 0
    public var zeroCount: Double = 0
    public var count: Double = 0
    public var sum: Double = 0
    public var positiveSpans: [Span] = []
    public var positiveCounts: [Double] = []
    public var negativeSpans: [Span] = []
    public var negativeCounts: [Double] = []
    /// The upper bounds of custom buckets, rising, the last (+Inf) not listed.
    public var customBounds: [Double] = []
    public var counterResetHint: CounterResetHint = .unknown
    /// Whether the sender counted in integers, so that an answer can be printed as it came.
    public var isInteger = false

    /// An empty histogram of schema 0.
    public init() {}
}
