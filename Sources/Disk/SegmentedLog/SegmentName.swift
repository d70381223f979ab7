/// The names of segment files: the first position in twenty digits, so that names sort as positions do.
enum SegmentName {
    static let suffix = ".segment"
    /// What a segment is renamed to when its first bytes are damaged.
    static let quarantineSuffix = ".damaged"

    /// "00000000000000000001.segment"
    static func name(of first: LogPosition) -> String {
        let digits = String(first.ordinal)
        return String(repeating: "0", count: 20 - digits.count) + digits + suffix
    }

    /// The position in a name, nil when it is not the name of a segment.
    static func position(in name: String) -> LogPosition? {
        guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
        return UInt64(name.dropLast(suffix.count)).map { LogPosition($0) }
    }

    /// The position in the name of a segment that was set aside.
    static func quarantinedPosition(in name: String) -> LogPosition? {
        name.hasSuffix(quarantineSuffix) ? position(in: String(name.dropLast(quarantineSuffix.count))) : nil
    }
}
