internal import Telemetry

/// How many lines of a block have each severity, by the numbers of `LineSeverity`.
struct SeverityCounts: Sendable, Equatable {
    private(set) var lines = SIMD16<UInt32>()

    /// Nothing is known.
    init() {}

    /// Counts one number per line.
    init(_ numbers: [UInt8]) {
        for number in numbers { lines[Int(number)] &+= 1 }
    }

    /// Counts numbers that were read; one that none may have makes it differ from every index.
    init(checking numbers: [UInt8]) {
        for number in numbers { lines[min(Int(number), 15)] &+= 1 }
    }

    /// Whether it was found out when the block was written.
    var isKnown: Bool { lines != SIMD16() }

    /// The severities that occur.
    var set: SeveritySet {
        SeveritySet((0..<UInt8(LineSeverity.bound)).filter { lines[Int($0)] > 0 }.map { SeveritySet(number: $0) })
    }

    /// What all lines have; nil where they differ or nothing is known.
    var only: UInt8? {
        var found: UInt8?
        for number in 0..<LineSeverity.bound where lines[number] > 0 {
            if found != nil { return nil }
            found = UInt8(number)
        }
        return found
    }

    /// The lines of one number.
    subscript(number: UInt8) -> Int { Int(lines[Int(number)]) }

    /// Appends which numbers occur, then how many lines each has unless it is the only one.
    func encode(to writer: inout ByteWriter) {
        writer.putVarint(UInt64(set.rawValue))
        if only != nil { return }
        for number in 0..<LineSeverity.bound where lines[number] > 0 { writer.putVarint(UInt64(lines[number])) }
    }

    /// Reads the counts of a block of `lines` lines.
    init(decoding reader: inout ByteReader, lines total: Int) throws {
        let set = try reader.count(upTo: Int(SeveritySet.all.rawValue), "severities")
        let numbers = (0..<LineSeverity.bound).filter { set >> $0 & 1 == 1 }
        if numbers.count == 1 {
            lines[numbers[0]] = UInt32(truncatingIfNeeded: total)
            return
        }
        var left = total
        for number in numbers {
            let count = try reader.count(upTo: left, "lines of a severity")
            guard count > 0 else { throw FormatError("a severity has no lines") }
            lines[number] = UInt32(truncatingIfNeeded: count)
            left -= count
        }
        guard numbers.isEmpty || left == 0 else { throw FormatError("severities do not cover a block's lines") }
    }
}
