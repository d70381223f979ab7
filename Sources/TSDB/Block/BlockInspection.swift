package import Disk
internal import Telemetry

/// What is inside one block file, and what of it is damaged: every checksum is checked, every column decoded.
package struct BlockInspection: Sendable {
    /// Lines for people: what the block holds and where its bytes are.
    package private(set) var summary: [String] = []
    /// One line for each damaged place: where, why, and which series and times it costs. Empty for a whole block.
    package private(set) var damage: [String] = []

    private struct Tally {
        var columns = 0
        var samples = 0
        var bytes = 0
    }

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
        describe(reader)
        var tallies: [String: Tally] = [:]
        do {
            let groups = try reader.groups()
            summary.append("groups \(groups.count), strips \(groups.reduce(0) { $0 + $1.strips.count })")
            let index = try? reader.index()
            if index == nil { damage.append("the index cannot be read; series are told by their numbers") }
            for group in groups { for strip in group.strips { inspect(strip, of: reader, index, &tallies) } }
        } catch {
            damage.append("\(error); all samples of the block are out of reach")
        }
        for (name, tally) in tallies.sorted(by: { $0.key < $1.key }) {
            summary.append("\(name): \(tally.columns) columns, \(tally.samples) samples, \(tally.bytes) bytes")
        }
    }

    private static func open(
        _ path: String, _ storage: any FileStorage
    ) throws(BlockReader.OpenError) -> any FileHandle {
        do throws(StorageError) { return try storage.open(path, .read) } catch { throw .storage(error) }
    }

    private mutating func describe(_ reader: BlockReader) {
        let footer = reader.footer
        summary = [
            "\(reader.path): format version \(BlockFormat.version), \(reader.byteCount) bytes",
            "flushes \(footer.sequence.first) to \(footer.sequence.last), "
                + "sealed through \(footer.sealedThrough.ordinal)",
            "from \(footer.times.startMilliseconds) to \(footer.times.endMilliseconds) ms",
            "series \(footer.seriesCount), samples \(footer.sampleCount)",
        ]
        for section in footer.sections {
            let kind = BlockFormat.SectionKind(rawValue: section.kind & ~BlockFormat.compressedFlag)
            let name = kind.map { "\($0)" } ?? "kind \(section.kind)"
            summary.append("section \(name): \(section.byteCount) bytes at \(section.offset)")
        }
    }

    private mutating func inspect(
        _ location: StripLocation, of reader: BlockReader, _ index: BlockIndex?, _ tallies: inout [String: Tally]
    ) {
        let span = "from \(location.times.startMilliseconds) to \(location.times.endMilliseconds) ms"
        do {
            var columns = try reader.columns(of: location)
            tallies["strip headers", default: Tally()].bytes += location.headerByteCount
            for (place, entry) in columns.strip.entries.enumerated() {
                tallies[entry.codecName, default: Tally()].columns += 1
                tallies[entry.codecName, default: Tally()].samples += entry.rowCount
                tallies[entry.codecName, default: Tally()].bytes += entry.bodyByteCount
                do {
                    _ = try reader.samples(of: place, in: &columns, at: location, range: .all)
                } catch {
                    let series = (try? index?.labels(of: entry.ordinal))?.description ?? "series \(entry.ordinal)"
                    damage.append("\(error); \(series) \(span) is lost")
                }
            }
        } catch {
            let series = location.ordinals.count
            damage.append("\(error); up to \(series) series \(span) are lost, \(location.sampleCount) samples")
        }
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
