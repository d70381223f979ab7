internal import Telemetry

/// Restores the columns of a block, each checked against the block's summary so that no later step can go out of
/// bounds.
struct BlockDecoder {
    let summary: BlockSummary

    /// The descriptions of the block's columns.
    func descriptions(_ stored: UnsafeRawBufferPointer) throws(FormatError) -> [UInt8] {
        try section(stored, bytesMaximum: BlockSummary.readBytesMaximum, "descriptions")
    }

    /// The block's templates: leaves of a table of `table`'s part.
    func templates(_ stored: UnsafeRawBufferPointer, table: TemplateTable) throws(FormatError) -> [Int] {
        let raw = try section(stored, bytesMaximum: BlockSummary.readBytesMaximum, "templates")
        return try decode(raw, "templates") { reader in
            let count = try reader.count(upTo: table.count, "number of templates")
            return try (0..<count).map { _ in
                let leaf = try reader.count(upTo: table.count - 1, "template")
                guard table.leaves[leaf] else { throw FormatError("a template does not end") }
                return leaf
            }
        }
    }

    /// The structured metadata, ordered by line.
    func metadata(_ stored: UnsafeRawBufferPointer) throws(FormatError) -> [LogLineMetadata] {
        let raw = try section(stored, bytesMaximum: BlockSummary.readBytesMaximum, "metadata")
        return try decode(raw, "metadata") { reader in
            let distinctCount = try reader.count(upTo: summary.lines, "number of label sets")
            var distinct: [Labels] = []
            for _ in 0..<distinctCount { distinct.append(try reader.structuredMetadata()) }
            let count = try reader.count(upTo: summary.lines, "number of lines with metadata")
            var metadata: [LogLineMetadata] = []
            metadata.reserveCapacity(count)
            var line = -1
            for _ in 0..<count {
                let step = try reader.count(upTo: summary.lines - 1 - line, "step to the next line with metadata")
                let number = try reader.count(upTo: max(0, distinct.count - 1), "label set")
                guard step > 0, number < distinct.count else { throw FormatError("metadata is not in order") }
                line += step
                metadata.append(LogLineMetadata(lineIndex: line, labels: distinct[number]))
            }
            return metadata
        }
    }

    /// Adds origins and offsets to `columns`.
    func origins(_ stored: UnsafeRawBufferPointer, into columns: inout LineColumns) throws(FormatError) {
        let raw = try section(stored, bytesMaximum: BlockSummary.readBytesMaximum, "origins")
        var restored = LineColumns()
        try decode(raw, "origins") { reader in
            let count = try reader.count(upTo: summary.lines, "number of origins")
            for _ in 0..<count {
                let source = try reader.string()
                restored.origins.append(LogOrigin(source: source, generation: try reader.varint()))
            }
            while restored.originIndexes.count < summary.lines {
                let left = summary.lines - restored.originIndexes.count
                let origin = Int32(try reader.count(upTo: count, "origin")) - 1
                let lines = try reader.count(upTo: left, "number of lines of an origin")
                guard lines > 0 else { throw FormatError("an origin has no lines") }
                var end: UInt64 = 0
                for _ in 0..<lines {
                    let start = origin < 0 ? 0 : end &+ UInt64(bitPattern: try reader.signed())
                    end = origin < 0 ? 0 : start &+ (try reader.varint())
                    restored.originIndexes.append(origin)
                    restored.offsetStarts.append(start)
                    restored.offsetEnds.append(end)
                }
            }
        }
        columns.origins = restored.origins
        columns.originIndexes = restored.originIndexes
        columns.offsetStarts = restored.offsetStarts
        columns.offsetEnds = restored.offsetEnds
    }

    private func section(
        _ stored: UnsafeRawBufferPointer, bytesMaximum: Int, _ what: String
    ) throws(FormatError) -> [UInt8] {
        var reader = ByteReader(stored)
        let raw = try Section.read(from: &reader, bytesMaximum: bytesMaximum, what)
        guard reader.isAtEnd else { throw FormatError("bytes follow the \(what)") }
        return raw
    }

    /// Reads all of `raw`, every failure of which is damage.
    private func decode<Value>(
        _ raw: [UInt8], _ what: String, _ body: (inout ByteReader) throws -> Value
    ) throws(FormatError) -> Value {
        do {
            return try raw.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                let value = try body(&reader)
                guard reader.isAtEnd else { throw FormatError("bytes follow the \(what)") }
                return value
            }
        } catch let error as FormatError {
            throw error
        } catch {
            throw FormatError("\(what): \(error)")
        }
    }
}
