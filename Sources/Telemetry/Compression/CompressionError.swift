/// Why compressed bytes could not be restored: which format, and what is wrong with them.
package struct CompressionError: Error, Equatable, CustomStringConvertible {
    /// What a caller can do about it.
    package enum Kind: Sendable, Equatable {
        /// The bytes are not of the format, damaged or cut short.
        case damaged
        /// What they stand for is longer than the caller allows.
        case tooLarge
    }

    package let kind: Kind
    /// The format as it was named to `Compression`.
    package let format: String
    /// What was wrong, lower case, without a full stop.
    package let reason: String

    /// An error of restoring `format`.
    package init(_ kind: Kind, format: Compression, reason: String) {
        self.kind = kind
        self.format = format.rawValue
        self.reason = reason
    }

    /// "zstd: restored size is over 1048576 bytes"
    package var description: String { "\(format): \(reason)" }

    /// The error of bytes that stand for more than `bytesMaximum` bytes.
    static func tooLarge(_ format: Compression, bytesMaximum: Int) -> CompressionError {
        CompressionError(.tooLarge, format: format, reason: "restored size is over \(bytesMaximum) bytes")
    }
}
