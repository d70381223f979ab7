internal import Synchronization
internal import Telemetry

/// An opened block: its descriptions are read, its columns are restored when they are first asked for. Shared by
/// queries; what one restores the next one finds.
final class OpenBlock: Sendable {
    let summary: BlockSummary
    let table: TemplateTable
    /// What the table belongs to: a part, or a block that waits for one.
    let tableOwner: ObjectIdentifier
    let storedTimes: StoredIntegers
    let lines: StoredTemplates
    /// Nil where all lines have the same one, or none is stored.
    private let storedSeverities: StoredIntegers?
    private let source: BlockSource
    private let state: Mutex<State>

    private struct State {
        var times: [Int64]?
        var severities: [UInt8]?
        var templates: TemplateValues?
        var columns: [ColumnValues?]
        /// Of columns that are dictionaries, the texts alone; of columns that are templates, which each value has.
        var texts: [Int: Texts] = [:]
        var inner: [Int: TemplateValues] = [:]
        /// Of a small block that was searched before, its lines back to back.
        var text: (bytes: [UInt8], ends: [Int])?
        var searches = 0
        var bytes: Int
    }

    /// Reads the descriptions of a block with these templates. `load` reads its chunks.
    init(
        _ summary: BlockSummary, descriptions: [UInt8], table: TemplateTable, tableOwner: ObjectIdentifier,
        leaves: [Int],
        load: @escaping @Sendable () throws -> [UInt8]
    ) throws {
        self.summary = summary
        self.table = table
        self.tableOwner = tableOwner
        source = BlockSource(descriptions: descriptions, load: load)
        let (parsed, columns) = try descriptions.withUnsafeBytes { bytes in
            var parser = ColumnParser(bytes, chunkBytes: summary[.chunks], table: table, leaves: leaves)
            return (try parser.block(summary), parser.columns)
        }
        storedTimes = parsed.times
        lines = parsed.lines
        storedSeverities = parsed.severities
        let opened = descriptions.count + summary[.chunks] + columns * 200 + 1000
        state = Mutex(State(columns: [ColumnValues?](repeating: nil, count: columns), bytes: opened))
    }

    /// About how much memory it holds.
    var memoryBytes: Int { state.withLock { $0.bytes } }

    /// The times of the lines, rising.
    func times() throws -> [Int64] {
        if let known = state.withLock({ $0.times }) { return known }
        let times = try storedTimes.values(source)
        guard times.first == summary.firstNanoseconds, times.last == summary.lastNanoseconds else {
            throw FormatError("times differ from the index")
        }
        for index in times.indices.dropFirst() where times[index] < times[index - 1] { throw FormatError("times fall") }
        keep(times.count * 8) { $0.times = times }
        return times
    }

    /// What is stored of the lines' severities; nil where nothing is.
    func severities() throws -> [UInt8]? {
        if let known = state.withLock({ $0.severities }) { return known }
        if let only = summary.severities.only { return [UInt8](repeating: only, count: summary.lines) }
        guard let storedSeverities else { return nil }
        let values = try storedSeverities.column(source)
        var numbers = [UInt8](repeating: 0, count: values.count)
        values.forEachChunk(0..<values.count) { chunk, first in
            for index in chunk.indices { numbers[first + index] = UInt8(truncatingIfNeeded: chunk[index]) }
        }
        guard SeverityCounts(checking: numbers) == summary.severities else {
            throw FormatError("severities differ from the index")
        }
        keepSeverities(numbers)
        return numbers
    }

    /// Keeps severities that were found out.
    func keepSeverities(_ numbers: [UInt8]) { keep(numbers.count) { $0.severities = numbers } }

    /// Which template each line has, and no column.
    func templates() throws -> TemplateValues {
        if let known = state.withLock({ $0.templates }) { return known }
        let values = try TemplateValues(lines, table: table, source)
        keep(TemplateValues.memoryBytes(values)) { $0.templates = values }
        return values
    }

    /// The values of one of the lines' columns, all of it restored. `rows` are the lines that have it; nil for all.
    func values(_ column: StoredColumn, rows: @autoclosure () -> ArraySlice<Int32>?) throws -> ColumnValues {
        if let known = state.withLock({ $0.columns[column.number] }) { return known }
        let values = try restore(column, rows: rows)
        keep(values.memoryBytes) { $0.columns[column.number] = values }
        return values
    }

    /// The lines with all their columns.
    func complete() throws -> TemplateValues {
        var values = try templates()
        for index in values.columns.indices {
            values.columns[index] = try self.values(lines.columns[index], rows: values.rows(ofColumn: index))
        }
        return values
    }

    /// Blocks up to this size are searched as texts when they are searched again: they have about as many templates as
    /// lines, and the C library is through with them before a few templates are.
    private static let smallBytes = 64 << 10

    /// The lines back to back and where each ends, for a small block that is searched again; nil for any other.
    func smallText() throws -> (bytes: [UInt8], ends: [Int])? {
        guard summary.rawBytes <= OpenBlock.smallBytes else { return nil }
        let (known, isFirst) = state.withLock { state in
            state.searches += 1
            return (state.text, state.searches == 1)
        }
        if known != nil || isFirst { return known }
        var text: (bytes: [UInt8], ends: [Int]) = ([], [])
        text.bytes.reserveCapacity(summary.rawBytes)
        text.ends.reserveCapacity(summary.lines)
        try complete().append(0..<Int32(summary.lines), to: &text.bytes, ends: &text.ends)
        let kept = text
        keep(kept.bytes.count + kept.ends.count * 8) { $0.text = kept }
        return kept
    }

    /// The length of each line.
    func lengths() throws -> [Int32] { try complete().lengths() }

    private func keep(_ bytes: Int, _ change: (inout sending State) -> Void) {
        state.withLock { state in
            change(&state)
            state.bytes += bytes
        }
    }

    private func restore(_ column: StoredColumn, rows: () -> ArraySlice<Int32>?) throws -> ColumnValues {
        switch column.form {
        case .constant(let array): return .constant(try source.bytes(array))
        case .integers(let stored): return .integers(try stored.column(source))
        case .fixed(let width, let stored): return .fixed(width: width, try stored.column(source))
        case .decimals(let scales, let mantissas):
            return .decimals(scales: try scales.column(source), mantissas: try mantissas.column(source))
        case .addresses(let stored): return .addresses(try stored.column(source))
        case .hexadecimal(let width, let isUpper, let stored):
            return .hexadecimal(width: width, isUpper: isUpper, try stored.column(source))
        case .packed(let width, let isUpper, let hasHyphens, let array):
            return .packed(width: width, isUpper: isUpper, hasHyphens: hasHyphens, try source.bytes(array))
        case .timestamps(let form, let stored):
            return
                .timestamps(
                    form,
                    TimestampColumn(
                        offsets: try stored.column(source), times: try times(), rows: rows(),
                        unitNanoseconds: form.unitNanoseconds))
        case .dictionary(let stored, let indexes):
            let texts = try texts(of: column, stored)
            let values = try indexes.column(source)
            var isInside = true
            values.forEachChunk(0..<values.count) { chunk, _ in
                for value in chunk where value < 0 || value >= Int64(texts.count) { isInside = false }
            }
            guard isInside else { throw FormatError("a value is not in its dictionary") }
            return .dictionary(texts, values)
        case .templated:
            var values = try templates(of: column)
            for index in values.columns.indices {
                values.columns[index] = try self.values(
                    values.stored.columns[index], rows: OpenBlock.rows(values.rows(ofColumn: index), of: rows()))
            }
            return .templated(values)
        case .raw(let stored): return .raw(try Texts(stored, source))
        }
    }

    /// The lines that have a column within a column: the places `inner` of the lines `outer`.
    static func rows(_ inner: ArraySlice<Int32>?, of outer: ArraySlice<Int32>?) -> ArraySlice<Int32>? {
        guard let inner else { return outer }
        guard let outer else { return inner }
        return inner.map { outer[outer.startIndex + Int($0)] }[...]
    }

    /// The texts of a column that is a dictionary.
    func texts(of column: StoredColumn) throws -> Texts {
        guard case .dictionary(let stored, _) = column.form else { throw FormatError("a column is no dictionary") }
        return try texts(of: column, stored)
    }

    private func texts(of column: StoredColumn, _ stored: StoredTexts) throws -> Texts {
        if let known = state.withLock({ $0.texts[column.number] }) { return known }
        let texts = try Texts(stored, source)
        keep(texts.bytes.count + texts.count * 8) { $0.texts[column.number] = texts }
        return texts
    }

    /// Which template each value of a column has, and no column of them.
    func templates(of column: StoredColumn) throws -> TemplateValues {
        guard case .templated(let stored) = column.form else { throw FormatError("a column is not templated") }
        if let known = state.withLock({ $0.inner[column.number] }) { return known }
        let values = try TemplateValues(stored, table: table, source)
        keep(TemplateValues.memoryBytes(values)) { $0.inner[column.number] = values }
        return values
    }
}

extension TemplateValues {
    /// About how much memory templates take without their columns.
    static func memoryBytes(_ values: TemplateValues) -> Int {
        values.leafIndexes.count * 4 + values.rowBytes
    }
}

extension ColumnValues {
    /// About how much memory the values take.
    var memoryBytes: Int {
        switch self {
        case .constant(let bytes): bytes.count
        case .integers(let values), .fixed(_, let values), .addresses(let values), .hexadecimal(_, _, let values):
            values.memoryBytes
        case .timestamps(_, let values): values.offsets.memoryBytes
        case .decimals(let scales, let mantissas): scales.memoryBytes + mantissas.memoryBytes
        case .packed(_, _, _, let bytes): bytes.count
        // Their texts and templates are counted by themselves.
        case .dictionary(_, let indexes): indexes.memoryBytes
        case .templated: 100
        case .raw(let texts): texts.bytes.count + texts.count * 8
        }
    }
}
