internal import Telemetry

/// Records of version 1: each stood for itself, a series' rows and values together.
extension HeadRecordReader {
    /// A group of a record of version 1.
    mutating func groupOfVersion1() throws(ByteError) -> HeadRecord.Group {
        var group = HeadRecord.Group(id: try reader.varint())
        group.isChained = false
        let flags = try reader.byte()
        if flags & HeadRecordWriter.targetFlag != 0 { group.target = try reader.labels() }
        group.times = try times()
        group.seriesCount = try reader.count(upTo: reader.remaining, "series")
        group.cellStarts = [0]
        var references: [HeadRecord.Reference] = []
        var nextID = group.id &+ 1
        for _ in 0..<group.seriesCount {
            let reference = try reference(nextID: nextID)
            nextID = reference.id &+ 1
            references.append(reference)
            try cellsOfVersion1(flags, in: &group)
        }
        group.series = references
        if flags & HeadRecordWriter.histogramsFlag != 0 { try histograms(in: &group) }
        return group
    }

    private mutating func cellsOfVersion1(_ flags: UInt8, in group: inout HeadRecord.Group) throws(ByteError) {
        let first = group.rows.count
        if flags & HeadRecordWriter.rowsFlag != 0 {
            try rowsOfSeries(in: &group)
        } else {
            guard !group.times.isEmpty else { throw ByteError(offset: reader.offset, reason: "a cell without a row") }
            group.rows.append(0)
        }
        group.cellStarts.append(group.rows.count)
        var previous: UInt64 = 0
        for _ in first..<group.rows.count {
            previous ^= try differenceOfVersion1()
            group.values.append(previous)
            guard flags & HeadRecordWriter.startsFlag != 0 else { continue }
            group.startDistances.append(try reader.byte() == 0 ? nil : try reader.signed())
        }
    }

    private mutating func differenceOfVersion1() throws(ByteError) -> UInt64 {
        let head = Int(try reader.byte())
        let (trailing, count) = (head >> 4, head & 0xf)
        guard trailing + count <= 8 else {
            throw ByteError(offset: reader.offset - 1, reason: "value of \(trailing)+\(count) bytes")
        }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(try reader.byte()) << UInt64((trailing + index) * 8) }
        return value
    }
}
