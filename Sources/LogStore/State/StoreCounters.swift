internal import Telemetry

/// What the store has done since it was opened.
struct StoreCounters: Sendable {
    var lines = 0
    var lineBytes = 0
    var batches = 0
    var duplicateBatches = 0
    var duplicateLines = 0
    /// Lines that overlap stored bytes of their origin without being among them.
    var overlappingLines = 0
    var rejectedLines = 0
    /// Lines of streams that sent too much at once.
    var limitedLines = 0
    var aheadLines = 0
    var truncatedLines = 0
    var transformedLines = 0
    var lossRecords = 0
    var overloadedAppends = 0
    var unavailableAppends = 0
    var mergedParts = 0
    /// Lines that merges left out: deleted, or of a source beyond its share of the room.
    var trimmedLines = 0
    var mergeFailures = 0
    var sealedParts = 0
    var sealFailures = 0
    var cutFailures = 0
    var expiredParts = 0
    var replayedBatches = 0
    /// Batches of the log that a restart could not read.
    var unreadableBatches = 0
    var damagedBlocks = 0
    var tailMissedLines = 0
}
