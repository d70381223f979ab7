internal import Telemetry

/// What a log store may use and accept. Every limit is met with a refusal or a rejection that names it, never in
/// silence.
package struct LogStoreOptions: Sendable {
    /// Lines in memory (encoded or not) beyond this are written to a part.
    package var sealBytes = 32 << 20
    /// A log of this size is cut: it is what a restart has to read.
    package var sealLogBytes = 512 << 20
    /// A line lies in memory and log alone no longer than this: restarts stay short.
    package var sealAgeMilliseconds: Int64 = 30 * 60_000
    /// Beyond this much memory for lines that are not yet in a part, senders wait a moment, until encoding and sealing
    /// have caught up; so many that their batches take no more than a quarter of it.
    package var headBytesWaiting = 40 << 20
    /// Beyond this much, appends are refused until then.
    package var headBytesMaximum = 96 << 20
    /// So many neighbouring parts, none larger than all others, are put into one…
    package var mergePartsMinimum = 8
    /// …if together they are no larger than this.
    package var mergedBytesMaximum = 64 << 20
    /// Beyond this many bytes of parts the oldest are removed; 0 for no limit.
    package var retentionBytes = 0
    /// Opened blocks that are kept for the next query.
    package var cacheBytesMaximum = 32 << 20
    /// What one stream may send a second, over some seconds; 0 for no limit. A batch of that stream alone is refused
    /// for a while; of one with other streams only its lines are left out, and a loss says so.
    package var streamBytesPerSecondMaximum = 0
    /// The same of all streams of one source: of one container, or of one service on one host where none is named.
    package var sourceBytesPerSecondMaximum = 0
    /// What one sender (an agent, a client that pushes) may send a second; 0 for no limit. Beyond that its batches are
    /// refused for a while.
    package var senderBytesPerSecondMaximum = 0
    /// Streams a process may know at once; each costs about a kilobyte.
    package var streamsMaximum = 200_000
    /// Those of one source, and those that one sender may begin while the process runs; 0 for no limit.
    package var sourceStreamsMaximum = 50_000
    package var senderStreamsMaximum = 100_000
    /// The share of `retentionBytes` that one source may take of the others': when room is needed, the source that
    /// takes most and more than this loses its oldest lines first, and losses say so. 1 for no such limit.
    package var sourceShareMaximum = 0.5
    /// Labels of one stream: fields belong into structured metadata.
    package var labelsMaximum = 40
    package var labelNameBytesMaximum = 1024
    package var labelValueBytesMaximum = 4096
    /// Structured metadata of one line.
    package var metadataBytesMaximum = 64 << 10
    /// A longer line is cut and its length kept in the structured metadata `_truncated`.
    package var lineBytesMaximum = 1 << 20
    /// Lines further ahead of the clock than this are refused: a wrong clock must not outlive every retention.
    package var aheadMillisecondsMaximum: Int64 = 10 * 60_000
    /// Lines without an origin that come again within this time are taken for one, as Loki does.
    package var duplicateWindowMilliseconds: Int64 = 5 * 60_000
    /// The most lines without an origin that are remembered for that, 21 bytes each: two tables of 2^18 places, full to
    /// three quarters.
    package var duplicateLinesMaximum = 393_216
    /// Recent batches kept so that a tail can go on where it was.
    package var tailBytesMaximum = 8 << 20
    /// How often a thread of its own looks whether something is to be sealed; nil where a test drives `maintain()`.
    package var maintenanceMilliseconds: Int64? = 1000
    /// What is older is neither taken nor answered from the start on, before the first `enforceRetention`; 0 for no
    /// limit.
    package var retentionMilliseconds: Int64 = 0

    /// Whether there is any limit of bytes a second.
    var limitsBytesPerSecond: Bool {
        streamBytesPerSecondMaximum > 0 || sourceBytesPerSecondMaximum > 0 || senderBytesPerSecondMaximum > 0
    }

    /// The defaults, for one machine with some thousand streams.
    package init() {}
}
