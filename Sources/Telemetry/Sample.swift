/// One value at one time, in milliseconds since 1970.
public struct Sample: Hashable, Sendable {
    public var milliseconds: Int64
    public var value: Double

    /// A value at a time.
    @inlinable
    public init(milliseconds: Int64, value: Double) {
        self.milliseconds = milliseconds
        self.value = value
    }

    /// The bit pattern that Prometheus and remote write use for "this series ended here".
    public static let staleBits: UInt64 = 0x7ff0_0000_0000_0002

    /// The stale marker, a NaN of its own.
    public static let stale = Double(bitPattern: staleBits)

    /// Whether `value` is the stale marker; no other NaN is.
    @inlinable
    public static func isStale(_ value: Double) -> Bool { value.bitPattern == 0x7ff0_0000_0000_0002 }
}

/// The kind of a metric as its producer declares it.
public enum MetricKind: String, Sendable, CaseIterable {
    case counter
    case gauge
    case histogram
    case gaugeHistogram = "gaugehistogram"
    case summary
    case info
    case stateset
    case unknown
}

/// What a producer says about a metric: kind, unit and help.
public struct MetricMetadata: Hashable, Sendable {
    public var metricName: String
    public var kind: MetricKind
    public var unit: String
    public var help: String

    /// Metadata of `metricName`.
    public init(metricName: String, kind: MetricKind, unit: String = "", help: String = "") {
        self.metricName = metricName
        self.kind = kind
        self.unit = unit
        self.help = help
    }
}
