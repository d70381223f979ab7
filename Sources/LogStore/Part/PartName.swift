/// The name of a part's file, which repeats what a restart and an answer must know even when the file cannot be read:
/// the log positions it covers and the seconds its lines span.
///
/// Shape: `part_<first position>_<last position>_<first second>_<last second>.part`, positions as 16 hexadecimal
/// digits.
struct PartName: Sendable, Hashable {
    var firstPosition: UInt64
    var lastPosition: UInt64
    var firstSecond: Int64
    var lastSecond: Int64

    static let suffix = ".part"
    /// What a damaged part's file is renamed to: it stays for a person to look at.
    static let damagedSuffix = ".part.damaged"

    /// The name for a footer.
    init(_ footer: PartFooter) {
        firstPosition = footer.firstPosition
        lastPosition = footer.lastPosition
        let span = footer.span
        firstSecond = span.lowerBound / 1_000_000_000
        lastSecond = span.upperBound / 1_000_000_000
    }

    /// Reads a name, with either suffix.
    init?(_ name: String) {
        guard let stem = PartName.stem(name) else { return nil }
        let fields = stem.split(separator: "_")
        guard fields.count == 5, fields[0] == "part", let first = UInt64(fields[1], radix: 16),
            let last = UInt64(fields[2], radix: 16), let start = Int64(fields[3]), let end = Int64(fields[4])
        else { return nil }
        firstPosition = first
        lastPosition = last
        firstSecond = start
        lastSecond = end
    }

    private static func stem(_ name: String) -> Substring? {
        for suffix in [damagedSuffix, suffix] where name.hasSuffix(suffix) { return name.dropLast(suffix.count) }
        return nil
    }

    /// The file's name.
    var fileName: String {
        "part_\(PartName.digits(firstPosition))_\(PartName.digits(lastPosition))_\(firstSecond)_\(lastSecond)"
            + PartName.suffix
    }

    private static func digits(_ position: UInt64) -> String {
        let text = String(position, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
