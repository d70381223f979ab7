internal import Telemetry

/// A part that answers queries: its file, and what its local stream numbers mean in this process.
struct OpenPart: Sendable {
    let reader: PartReader
    let name: PartName
    /// The process' identifier of each of the part's streams.
    let streamIdentifiers: [Int]
    /// Left out of merges: a block of it could not be read.
    var isKept = false
    /// Written after all deletions that there are, so that none of them is about it.
    var isPurged = false
}
