/// What a caller puts into a log: a kind of the caller's own numbering, and bytes.
package struct LogRecord: Sendable, Equatable {
    /// The largest payload: more than any batch needs, and little enough to hold in memory while it is checked.
    package static let payloadBytesMaximum = 16 << 20

    package var kind: UInt8
    package var payload: [UInt8]

    /// A record of at most `payloadBytesMaximum` bytes.
    package init(kind: UInt8, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }
}

/// What a reader gets back: a record at its place.
package struct LogFrame {
    package let position: LogPosition
    package let kind: UInt8
    /// The record's bytes. They live only while the reader's closure runs.
    package let payload: UnsafeRawBufferPointer
    /// How many frames in front of this one are gone for good (damaged on disk, or cut away).
    package let lostBefore: UInt64

    /// A record as it was read.
    init(position: LogPosition, kind: UInt8, payload: UnsafeRawBufferPointer, lostBefore: UInt64) {
        self.position = position
        self.kind = kind
        self.payload = payload
        self.lostBefore = lostBefore
    }
}
