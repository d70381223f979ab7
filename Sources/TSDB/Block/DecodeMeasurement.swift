package import Disk
internal import Telemetry

/// How fast the columns of blocks are decoded: for `vedette bench codec`.
package struct DecodeMeasurement {
    /// Columns of one kind, and what decoding them takes.
    package struct Figure: Sendable {
        package var name: String
        package var columns = 0
        package var values = 0
        /// Of the processor, for one pass.
        package var nanoseconds: Int64 = 0
    }

    /// Columns of one strip.
    private struct Place {
        var reader: BlockReader
        var location: StripLocation
        var indexes: [Int] = []
        var valueCount = 0
    }

    private let storage: any FileStorage
    private let cpuNanoseconds: () -> Int64
    private static let passes = 5

    /// Measures by a clock of the processor's time.
    package init(in storage: any FileStorage, cpuNanoseconds: @escaping () -> Int64) {
        self.storage = storage
        self.cpuNanoseconds = cpuNanoseconds
    }

    /// Decodes blocks that lie in memory, without constant and duplicate columns: all of them, then kind by kind.
    package func run(_ paths: [String]) throws -> [Figure] {
        var kinds: [String: [Place]] = [:]
        var all: [Place] = []
        for path in paths {
            let reader = try BlockReader(try storage.open(path, .read), cache: PageCache(maximumBytes: 1 << 30))
            for location in try reader.groups().flatMap(\.strips) {
                var ofKind: [String: Place] = [:]
                for (index, entry) in try reader.strip(location).entries.enumerated() {
                    guard case .floats(let column) = entry.values else { continue }
                    for kind in ["", "\(column.transform), \(column.residuals)"] {
                        ofKind[kind, default: Place(reader: reader, location: location)].indexes.append(index)
                        ofKind[kind]?.valueCount += entry.valueCount
                    }
                }
                for (kind, place) in ofKind {
                    if kind.isEmpty { all.append(place) } else { kinds[kind, default: []].append(place) }
                }
            }
        }
        return [try measure("all", all)]
            + (try kinds.sorted { $0.key < $1.key }.map { try measure($0.key, $0.value) })
    }

    /// Writes the blocks again with columns that are made to be read fast, as those of a short strip are; returns
    /// where.
    package func rewriteHot(_ paths: [String], into folder: String) throws -> [String] {
        try paths.enumerated().map { number, path in
            let reader = try BlockReader(try storage.open(path, .read), cache: PageCache(maximumBytes: 1 << 24))
            let copy = StoragePath.join(folder, "hot-\(number)")
            var writer = BlockWriter(try storage.open(copy, .create), salt: 1, sealedRowsMinimum: .max)
            let index = try reader.index()
            for group in index.groups {
                let labels = try group.ordinals.map { try index.labels(of: $0) }
                let layout = SeriesLayout(labels, target: group.target)
                _ = writer.beginGroup(group.target, sealedThrough: group.sealedThrough, layout: layout)
                for location in group.strips {
                    let strip = try reader.strip(location)
                    let columns = try Self.columns(of: location, reader)
                    try writer.append(rowTimes: strip.times, columns: columns)
                }
            }
            _ = try writer.finish(sequence: reader.footer.sequence, history: reader.footer.history)
            return copy
        }
    }

    private static func columns(of location: StripLocation, _ reader: BlockReader) throws -> [StripColumn] {
        var columns = try reader.columns(of: location)
        return try columns.strip.entries.indices.map { index in
            let entry = columns.strip.entries[index]
            let run = try reader.samples(of: index, in: &columns, at: location, range: .all)
            var column = StripColumn(ordinal: entry.ordinal)
            column.rows = run.rows(in: columns.strip.times)
            (column.bits, column.starts, column.histograms) = (run.bits, run.starts, run.histograms)
            return column
        }
    }

    private func measure(_ name: String, _ places: [Place]) throws -> Figure {
        let columns = places.reduce(0) { $0 + $1.indexes.count }
        let values = places.reduce(0) { $0 + $1.valueCount }
        var figure = Figure(name: name, columns: columns, values: values, nanoseconds: .max)
        let bits = UnsafeMutablePointer<UInt64>.allocate(capacity: BlockFormat.stripRowsMaximum)
        defer { bits.deallocate() }
        for _ in 0..<Self.passes {
            let before = cpuNanoseconds()
            for place in places {
                var columns = try place.reader.columns(of: place.location)
                for index in place.indexes { try columns.read(index, into: bits) }
            }
            figure.nanoseconds = min(figure.nanoseconds, cpuNanoseconds() - before)
        }
        return figure
    }
}
