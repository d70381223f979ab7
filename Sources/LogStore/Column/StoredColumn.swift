internal import Telemetry

/// The description of one column of values; nothing of it is restored yet.
final class StoredColumn: Sendable {
    /// A type and its arrays.
    indirect enum Form: Sendable {
        case constant(StoredArray)
        case integers(StoredIntegers)
        case fixed(width: Int, StoredIntegers)
        case decimals(scales: StoredIntegers, mantissas: StoredIntegers)
        case addresses(StoredIntegers)
        case hexadecimal(width: Int, isUpper: Bool, StoredIntegers)
        case packed(width: Int, isUpper: Bool, hasHyphens: Bool, StoredArray)
        case timestamps(TimestampForm, StoredIntegers)
        case dictionary(StoredTexts, StoredIntegers)
        case templated(StoredTemplates)
        case raw(StoredTexts)
    }

    /// Unique within the block.
    let number: Int
    let count: Int
    let form: Form
    /// What its values can look like; nil where they can be anything, or are known one by one.
    let extent: ValueExtent?
    /// The text of all values of a short constant, which is at hand without restoring anything.
    let constant: [UInt8]?

    /// A column of a block.
    init(number: Int, count: Int, form: Form, constant: [UInt8]?) {
        self.constant = constant
        self.number = number
        self.count = count
        self.form = form
        extent = ValueExtent(form)
    }
}

/// Texts back to back.
struct StoredTexts: Sendable {
    let lengths: StoredIntegers
    let bytes: StoredArray
}

/// Values split into templates: which template each has, and the columns of their slots.
final class StoredTemplates: Sendable {
    let count: Int
    /// The leaves, as nodes of the table.
    let leaves: [Int]
    let leafIndexes: StoredIntegers
    let layout: TemplateLayout
    let tree: TemplateTree
    /// The number of the tree's first node, unique within the block.
    let nodeBase: Int
    let columns: [StoredColumn]

    /// Templates of `leaves`, whose tree begins at node `nodeBase` of the block.
    init(
        count: Int, leaves: [Int], leafIndexes: StoredIntegers, layout: TemplateLayout, tree: TemplateTree,
        nodeBase: Int, columns: [StoredColumn]
    ) {
        self.count = count
        self.leaves = leaves
        self.leafIndexes = leafIndexes
        self.layout = layout
        self.tree = tree
        self.nodeBase = nodeBase
        self.columns = columns
    }
}

/// Reads the descriptions of a block's columns.
struct ColumnParser {
    private let descriptions: UnsafeRawBufferPointer
    private var reader: ColumnReader
    private let table: TemplateTable
    /// The block's templates, as nodes of the table.
    private let leaves: [Int]
    private(set) var columns = 0
    private var treeNodes = 0

    /// Where the chunks lie.
    var chunks: [Range<Int>] { reader.chunks }

    /// Templates in templates in templates are not written.
    private static let depthMaximum = 2

    init(_ descriptions: UnsafeRawBufferPointer, chunkBytes: Int, table: TemplateTable, leaves: [Int]) {
        self.descriptions = descriptions
        reader = ColumnReader(descriptions, chunkBytes: chunkBytes)
        self.table = table
        self.leaves = leaves
    }

    /// Reads the descriptions of a block's times, lines and, where they differ, severities.
    mutating func block(
        _ summary: BlockSummary
    ) throws -> (times: StoredIntegers, lines: StoredTemplates, severities: StoredIntegers?) {
        let times = try StoredIntegers(&reader, count: summary.lines)
        let templates = try templates(summary.lines, depth: 1)
        let differ = summary.severities.isKnown && summary.severities.only == nil
        let severities = differ ? try StoredIntegers(&reader, count: summary.lines) : nil
        guard reader.isAtEnd else { throw FormatError("bytes follow the columns of a block") }
        return (times, templates, severities)
    }

    private mutating func templates(_ count: Int, depth: Int) throws -> StoredTemplates {
        let number = try reader.bytes.count(upTo: leaves.count, "number of templates")
        var used: [Int] = []
        for _ in 0..<number {
            let leaf = try reader.bytes.count(upTo: leaves.count - 1, "template")
            used.append(leaves[leaf])
        }
        guard number > 0 else { throw FormatError("values have no template") }
        let indexes = try StoredIntegers(&reader, count: count)
        let layout = TemplateLayout(leaves: used, in: table)
        var columns: [StoredColumn] = []
        for _ in layout.nodes { columns.append(try column(upTo: count, depth: depth)) }
        let tree = TemplateTree(leaves: used, layout: layout)
        defer { treeNodes += tree.nodes.count }
        return StoredTemplates(
            count: count, leaves: used, leafIndexes: indexes, layout: layout, tree: tree, nodeBase: treeNodes,
            columns: columns)
    }

    private mutating func integers(_ count: Int) throws -> StoredIntegers { try StoredIntegers(&reader, count: count) }

    private mutating func texts(_ count: Int) throws -> StoredTexts {
        let lengths = try integers(count)
        return StoredTexts(lengths: lengths, bytes: try reader.array())
    }

    private mutating func column(upTo rows: Int, depth: Int) throws -> StoredColumn {
        let code = try reader.bytes.byte()
        guard let kind = ColumnKind(rawValue: code) else { throw FormatError("a column has the type \(code)") }
        let number = columns
        columns += 1
        let count = try reader.bytes.count(upTo: rows, "number of values")
        let form = try form(kind, count, depth)
        var constant: [UInt8]?
        if case .constant(let array) = form, case .inline(let range) = array.place {
            constant = Array(descriptions[range])
        }
        return StoredColumn(number: number, count: count, form: form, constant: constant)
    }

    private mutating func form(_ kind: ColumnKind, _ count: Int, _ depth: Int) throws -> StoredColumn.Form {
        switch kind {
        case .constant: return .constant(try reader.array())
        case .integers: return .integers(try integers(count))
        case .fixed:
            let width = try reader.bytes.count(upTo: 18, "number of digits")
            return .fixed(width: width, try integers(count))
        case .decimals:
            let scales = try integers(count)
            return .decimals(scales: scales, mantissas: try integers(count))
        case .addresses: return .addresses(try integers(count))
        case .hexadecimal:
            let field = Int(try reader.bytes.byte())
            guard field >> 1 <= 16 else { throw FormatError("too many hexadecimal digits") }
            return .hexadecimal(width: field >> 1, isUpper: field & 1 == 1, try integers(count))
        case .identifiers:
            let width = Int(try reader.bytes.byte())
            let isUpper = try reader.bytes.byte() == 1
            return .packed(
                width: width, isUpper: isUpper, hasHyphens: false, try reader.array(count * ((width + 1) / 2)))
        case .uuids:
            let isUpper = try reader.bytes.byte() == 1
            return .packed(width: 32, isUpper: isUpper, hasHyphens: true, try reader.array(count * 16))
        case .timestamps:
            let form = try TimestampForm(&reader.bytes)
            return .timestamps(form, try integers(count))
        case .dictionary:
            let distinct = try reader.bytes.count(upTo: count, "number of distinct values")
            let texts = try texts(distinct)
            return .dictionary(texts, try integers(count))
        case .templated:
            guard depth < ColumnParser.depthMaximum else { throw FormatError("templates are nested too deep") }
            return .templated(try templates(count, depth: depth + 1))
        case .raw: return .raw(try texts(count))
        }
    }
}

extension TimestampForm {
    /// Reads what `ColumnEncoder` wrote.
    init(_ reader: inout ByteReader) throws {
        guard let kind = Kind(rawValue: try reader.byte()) else { throw FormatError("a time has an unknown form") }
        let separators = (try reader.byte(), try reader.byte(), try reader.byte())
        let digits = try reader.count(upTo: 9, "digits of a fraction")
        let suffix = try reader.prefixed()
        guard suffix.count <= TimestampForm.suffixBytesMaximum else { throw FormatError("a time has a long suffix") }
        self.init(
            kind: kind, dateSeparator: separators.0, timeSeparator: separators.1, fractionSeparator: separators.2,
            fractionDigits: digits, suffix: Array(suffix))
    }
}
