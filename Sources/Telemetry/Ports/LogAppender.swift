/// Where lines come from: one file, journal or socket, and which life of it. Rotation and truncation start a new
/// generation, so that (source, generation, offset) names a byte for ever.
public struct LogOrigin: Hashable, Sendable {
    /// Stable for a file while it exists, unique among all agents, for example `agent/device:inode:birth`.
    public var source: String
    public var generation: UInt64

    /// A life of a source.
    public init(source: String, generation: UInt64) {
        self.source = source
        self.generation = generation
    }
}

/// Lines of one stream, in columns.
///
/// Shape: `timesNanoseconds` and `lineEnds` have one element per line; line i is
/// `bytes[lineEnds[i-1]..<lineEnds[i]]`, without its line end, any bytes allowed. With an origin, `offsetStarts` and
/// `offsetEnds` have one element per line too: the half-open byte interval of the source that the line stands for.
public struct LogLines: Sendable {
    public var labels: Labels
    /// Nil for pushes from senders that do not count bytes.
    public var origin: LogOrigin?
    public var timesNanoseconds: [Int64]
    public var lineEnds: [Int]
    public var bytes: [UInt8]
    public var offsetStarts: [UInt64]
    public var offsetEnds: [UInt64]
    /// Structured metadata of the lines that have any, ordered by line.
    public var metadata: [LogLineMetadata]

    /// No lines of `labels` yet.
    public init(labels: Labels, origin: LogOrigin? = nil) {
        self.labels = labels
        self.origin = origin
        timesNanoseconds = []
        lineEnds = []
        bytes = []
        offsetStarts = []
        offsetEnds = []
        metadata = []
    }

    /// The number of lines.
    public var count: Int { timesNanoseconds.count }

    /// The bytes of line `index`.
    public func line(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : lineEnds[index - 1])..<lineEnds[index]]
    }

    /// Adds a line that a sender without byte counts pushed.
    public mutating func append(nanoseconds: Int64, line: some Sequence<UInt8>, metadata: Labels = .empty) {
        if !metadata.isEmpty { self.metadata.append(LogLineMetadata(lineIndex: count, labels: metadata)) }
        timesNanoseconds.append(nanoseconds)
        bytes.append(contentsOf: line)
        lineEnds.append(bytes.count)
    }

    /// Adds a line that stands for the bytes `offsets` of the origin.
    public mutating func append(
        nanoseconds: Int64, line: some Sequence<UInt8>, offsets: Range<UInt64>, metadata: Labels = .empty
    ) {
        append(nanoseconds: nanoseconds, line: line, metadata: metadata)
        offsetStarts.append(offsets.lowerBound)
        offsetEnds.append(offsets.upperBound)
    }
}

/// Structured metadata of one line.
public struct LogLineMetadata: Hashable, Sendable {
    public var lineIndex: Int
    public var labels: Labels

    /// Metadata of line `lineIndex`.
    public init(lineIndex: Int, labels: Labels) {
        self.lineIndex = lineIndex
        self.labels = labels
    }
}

/// Lines that existed and will not come: dropped by a full spool, lost with a rotated file, refused by a limit.
public struct LogLoss: Hashable, Sendable {
    public var labels: Labels
    public var origin: LogOrigin?
    public var range: LogTimeRange
    /// 0 when not known.
    public var lines: Int
    /// 0 when not known.
    public var bytes: Int
    /// Lower case, without a full stop: "spool full", "file vanished before it was read".
    public var reason: String

    /// A loss of one stream.
    public init(labels: Labels, origin: LogOrigin?, range: LogTimeRange, lines: Int, bytes: Int, reason: String) {
        self.labels = labels
        self.origin = origin
        self.range = range
        self.lines = lines
        self.bytes = bytes
        self.reason = reason
    }
}

/// What one append of lines carries.
public struct LogBatch: Sendable {
    public var streams: [LogLines]
    public var losses: [LogLoss]
    public var delivery: DeliveryIdentity?
    /// Who pushed it, for limits that keep senders fair: a client's name. Nil where the delivery names its agent.
    public var client: String?

    /// A batch of `streams`.
    public init(
        streams: [LogLines], losses: [LogLoss] = [], delivery: DeliveryIdentity? = nil, client: String? = nil
    ) {
        self.streams = streams
        self.losses = losses
        self.delivery = delivery
        self.client = client
    }

    /// Who sent it: its agent, or the client that pushed it; nil for what the process itself has to say.
    public var sender: String? { delivery?.sender.agent ?? client }

    /// The number of lines.
    public var lineCount: Int { streams.reduce(0) { $0 + $1.count } }
}

/// Lines of one stream that were not taken, and why. The rest of the batch was.
public struct LogRejection: Sendable, Equatable {
    public var labels: Labels
    public var lines: Int
    /// Lower case, without a full stop, with the limit that was met.
    public var reason: String

    /// `lines` lines of `labels`, refused for `reason`.
    public init(labels: Labels, lines: Int, reason: String) {
        self.labels = labels
        self.lines = lines
        self.reason = reason
    }
}

/// What became of an append. When this is returned, everything accepted is fsynced.
public struct LogReceipt: Sendable {
    public var accepted: Int
    /// Lines that were stored before, by (source, generation, offset) or by (stream, time, bytes).
    public var duplicates: Int
    public var rejections: [LogRejection]
    /// Whether the whole delivery was stored before.
    public var isDuplicate: Bool
    public var marks: DeliveryMarks?

    /// A receipt.
    public init(
        accepted: Int, duplicates: Int = 0, rejections: [LogRejection] = [], isDuplicate: Bool = false,
        marks: DeliveryMarks? = nil
    ) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejections = rejections
        self.isDuplicate = isDuplicate
        self.marks = marks
    }
}

/// Port: takes lines and returns when they are on disk.
public protocol LogAppender: Sendable {
    /// Stores `batch`. Returns after the fsync that covers it. Throws `AppendRefusal` when nothing was stored.
    func append(_ batch: LogBatch) async throws -> LogReceipt
}

/// The one stage every line passes before it is logged, for example to redact card numbers.
public protocol LineTransform: Sendable {
    /// Returns the bytes to store, or nil to keep the line as it is. Must not change the number of lines.
    func transform(_ line: ArraySlice<UInt8>, of labels: Labels) -> [UInt8]?
}
