internal import Telemetry

/// A part that answers queries: its file, and what its local stream numbers mean in this process.
struct OpenPart: Sendable {
    let reader: PartReader
    let name: PartName
    /// The process' identifier of each of the part's streams.
    let streamIdentifiers: [Int]
}
