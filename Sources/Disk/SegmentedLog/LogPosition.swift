/// The place of a frame in a log: an ordinal that rises by one per frame and is never given twice.
public struct LogPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// 1 for the first frame that was ever written; 0 stands before it.
    public let ordinal: UInt64

    /// The place with that ordinal.
    @inlinable
    public init(_ ordinal: UInt64) {
        self.ordinal = ordinal
    }

    /// Where every log begins.
    public static let first = LogPosition(1)

    /// The place `count` frames further on.
    @inlinable
    public func advanced(by count: UInt64) -> LogPosition { LogPosition(ordinal &+ count) }

    @inlinable
    public static func < (left: LogPosition, right: LogPosition) -> Bool { left.ordinal < right.ordinal }

    public var description: String { String(ordinal) }
}
