package import Disk
package import Telemetry

/// What is inside one block file, and what of it is damaged: every checksum is checked, every column decoded.
package struct BlockInspection: Sendable {
    /// Bytes of one kind.
    package struct Part: Sendable {
        package var name: String
        package var columns = 0
        package var samples = 0
        package var bytes = 0
    }

    /// A target and what the block has of it.
    package struct Group: Sendable {
        package var target: Labels
        package var series: Int
        package var strips: Int
        package var samples: Int
        /// The pages of its strips.
        package var bytes: Int
    }

    package let path: String
    package let formatVersion: Int
    package let byteCount: UInt64
    /// The numbers in its name.
    package let sequence: (first: UInt64, last: UInt64)
    /// 0 for a flush, else how often its samples were merged.
    package let level: Int
    package let times: TimeRange
    package let seriesCount: Int
    package let sampleCount: Int
    package private(set) var groups: [Group] = []
    /// The parts of the index, by name.
    package private(set) var sections: [Part] = []
    /// Columns by how they are encoded, the most bytes first.
    package private(set) var columns: [Part] = []
    /// One line for each damaged place: where, why, and which series and times it costs. Empty for a whole block.
    package private(set) var damage: [String] = []

    /// Reads the block at `path`. Throws when not even its footer can be read, naming the reason.
    package init(_ path: String, in storage: any FileStorage) throws {
        let reader: BlockReader
        do throws(BlockReader.OpenError) {
            reader = try BlockReader(try Self.open(path, storage), cache: PageCache(maximumBytes: 1 << 20))
        } catch .damaged(let damage) {
            throw damage
        } catch .newer(let version) {
            throw MetricDatabaseError("\(path) is of format version \(version), which this program does not read")
        } catch .storage(let error) {
            throw error
        }
        let footer = reader.footer
        self.path = path
        formatVersion = Int(footer.version)
        byteCount = reader.byteCount
        sequence = (footer.sequence.first, footer.sequence.last)
        level = footer.history.level
        times = footer.times
        (seriesCount, sampleCount) = (footer.seriesCount, footer.sampleCount)
        for section in footer.sections {
            let kind = BlockFormat.SectionKind(rawValue: section.kind & ~BlockFormat.compressedFlag)
            sections.append(Part(name: kind.map { "\($0)" } ?? "kind \(section.kind)", bytes: section.byteCount))
        }
        inspect(reader)
    }

    /// The block files that a path means: the file itself, or those of a folder of blocks, of a metric database, or of
    /// a data folder, which may have none.
    package static func files(at path: String, in storage: any FileStorage) throws(StorageError) -> [String] {
        for folder in [path, StoragePath.join(path, "blocks"), StoragePath.join(path, "metrics/blocks")] {
            guard let entries = try? storage.list(folder) else { continue }
            let names = entries.filter { !$0.isFolder && BlockSequence(fileName: $0.name) != nil }.map(\.name)
            if !names.isEmpty { return names.sorted().map { StoragePath.join(folder, $0) } }
        }
        do {
            _ = try storage.list(path)
            return []
        } catch {
            _ = try storage.open(path, .read).size()
            return [path]
        }
    }

    private static func open(
        _ path: String, _ storage: any FileStorage
    ) throws(BlockReader.OpenError) -> any FileHandle {
        do throws(StorageError) { return try storage.open(path, .read) } catch { throw .storage(error) }
    }

    private mutating func inspect(_ reader: BlockReader) {
        var parts: [String: Part] = [:]
        do {
            let groups = try reader.groups()
            var index: BlockIndex?
            do {
                index = try reader.index()
            } catch {
                damage.append("\(error); the samples are whole, but the names of their series are lost")
            }
            for group in groups {
                self.groups.append(Group(group))
                for strip in group.strips { inspect(strip, of: reader, index, &parts) }
            }
        } catch {
            damage.append("\(error); all samples of the block are out of reach")
        }
        columns = parts.values.sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) }
    }

    private mutating func inspect(
        _ location: StripLocation, of reader: BlockReader, _ index: BlockIndex?, _ parts: inout [String: Part]
    ) {
        let start = Timestamps.rfc3339(milliseconds: location.times.startMilliseconds)
        let span = "from \(start) to \(Timestamps.rfc3339(milliseconds: location.times.endMilliseconds))"
        func note(_ name: String, columns: Int, samples: Int, bytes: Int) {
            var part = parts[name] ?? Part(name: name)
            part.columns += columns
            part.samples += samples
            part.bytes += bytes
            parts[name] = part
        }
        do {
            var columns = try reader.columns(of: location)
            note("strip headers", columns: 0, samples: 0, bytes: location.headerByteCount)
            for (place, entry) in columns.strip.entries.enumerated() {
                note(entry.codecName, columns: 1, samples: entry.rowCount, bytes: entry.bodyByteCount)
                do {
                    _ = try reader.samples(of: place, in: &columns, at: location, range: .all)
                } catch {
                    let series = (try? index?.labels(of: entry.ordinal))?.description ?? "series \(entry.ordinal)"
                    damage.append("\(error); \(series) \(span) is lost")
                }
            }
        } catch {
            let lost = location.ordinals.map { ordinal in
                (try? index?.labels(of: ordinal))?.description ?? "series \(ordinal)"
            }
            let named = lost.prefix(3).joined(separator: ", ") + (lost.count > 3 ? " and \(lost.count - 3) more" : "")
            damage.append("\(error); \(location.sampleCount) samples \(span) are lost, of \(named)")
        }
    }
}

extension BlockInspection.Group {
    /// What the index says of a group.
    fileprivate init(_ group: BlockGroup) {
        target = group.target
        series = group.ordinals.count
        strips = group.strips.count
        samples = group.strips.reduce(0) { $0 + $1.sampleCount }
        bytes = group.strips.reduce(0) { $0 + $1.headerByteCount + $1.streamByteCount }
    }
}

extension StripEntry {
    /// What its column is encoded as, for people.
    fileprivate var codecName: String {
        switch values {
        case .constant: "constant"
        case .duplicate: "duplicate"
        case .histograms: "histograms"
        case .floats(let column): "\(column.scaling.operation), \(column.transform), \(column.residuals)"
        }
    }
}
