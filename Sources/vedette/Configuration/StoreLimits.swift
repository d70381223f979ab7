internal import Telemetry
internal import Wire

/// What the stores may use and accept, and what they do to lines on the way in; nil keeps a store's own default. Read
/// at the start alone: stores are opened with it.
struct StoreLimits: Sendable, Equatable {
    /// Below this the process cannot work.
    static let memoryBytesMinimum: Int64 = 64 << 20

    /// For the whole process.
    var memoryBytes: Int64?
    /// On disk; 0 is no limit.
    var metricsBytes: Int64?
    /// On disk; 0 is no limit.
    var logsBytes: Int64?
    /// Series at once; 0 is no limit, here and below.
    var series: Int64?
    var seriesPerTarget: Int64?
    var seriesPerMetric: Int64?
    /// Exemplars in memory; 0 is none.
    var exemplars: Int64?
    /// Samples further behind their target's newest go to blocks of their own.
    var outOfOrderMilliseconds: Int64?
    /// Streams of lines at once.
    var logStreams: Int64?
    /// Of one stream of lines; 0 is no limit.
    var logStreamBytesPerSecond: Int64?
    /// Of one source of lines (a container, or a service on a host), and of one sender of lines (an agent, a client
    /// that pushes); 0 is no limit.
    var logSourceBytesPerSecond: Int64?
    var logSenderBytesPerSecond: Int64?
    var logStreamsPerSource: Int64?
    var logStreamsPerSender: Int64?
    /// Labels of one stream of lines.
    var logLabels: Int64?
    /// The share of the size of logs on disk that one source may take of the others'; 1 is no limit.
    var logsSourceShare: Double?
    /// Whether numbers of payment and identity cards are hidden before a line is stored.
    var redactsNumbers = false

    /// Reads the sizes of the section `retention`.
    mutating func readSizes(_ mapping: inout YAMLMapping) throws(ConfigurationError) {
        metricsBytes = try mapping.optional("metrics_size")?.byteSize()
        logsBytes = try mapping.optional("logs_size")?.byteSize()
        if let share = mapping.optional("logs_source_share") {
            logsSourceShare = try share.number()
            guard (0.01...1).contains(logsSourceShare ?? 0) else {
                throw share.error("a share of logs_size is wanted, from 0.01 to 1")
            }
        }
    }

    /// Reads the section `limits`.
    mutating func readLimits(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        if let memory = mapping.optional("memory") {
            memoryBytes = try memory.byteSize()
            guard memoryBytes ?? 0 >= StoreLimits.memoryBytesMinimum else {
                throw memory.error("too little: 64MiB or more are needed")
            }
        }
        series = try mapping.integer("series", in: 0...Int64(Int32.max))
        seriesPerTarget = try mapping.integer("series_per_target", in: 0...Int64(Int32.max))
        seriesPerMetric = try mapping.integer("series_per_metric", in: 0...Int64(Int32.max))
        exemplars = try mapping.integer("exemplars", in: 0...Int64(Int32.max))
        outOfOrderMilliseconds = try mapping.durationMilliseconds("out_of_order_window")
        logStreams = try mapping.integer("log_streams", in: 1...Int64(Int32.max))
        logStreamsPerSource = try mapping.integer("log_streams_per_source", in: 0...Int64(Int32.max))
        logStreamsPerSender = try mapping.integer("log_streams_per_sender", in: 0...Int64(Int32.max))
        logLabels = try mapping.integer("log_labels", in: 1...1_000)
        logStreamBytesPerSecond = try mapping.optional("log_stream_bytes_per_second")?.byteSize()
        logSourceBytesPerSecond = try mapping.optional("log_source_bytes_per_second")?.byteSize()
        logSenderBytesPerSecond = try mapping.optional("log_sender_bytes_per_second")?.byteSize()
        try mapping.finish()
    }

    /// Reads the section `logs`.
    mutating func readLogs(_ value: YAMLValue) throws(ConfigurationError) {
        var mapping = try value.mapping()
        redactsNumbers = try mapping.truth("redact_numbers") ?? false
        try mapping.finish()
    }
}
