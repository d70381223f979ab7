internal import Telemetry

/// Encodes the lines of one block: splits them into templates, finds a type for each column of slot values, writes the
/// columns and collects the words of the block's filter.
struct ColumnEncoder {
    private let base: UnsafePointer<UInt8>
    /// The times of the lines.
    private let times: [Int64]
    private var builder = TemplateBuilder()
    var writer: ColumnWriter
    private(set) var words = WordCollector()
    /// The block's templates that are in use, by the builder's leaves.
    private var numbers: [Int: Int] = [:]
    /// The builder's leaves in use, in the order of their numbers.
    private(set) var leaves: [Int] = []

    /// The most templates of one block's lines: a quarter of the lines, but some in any case.
    static func leavesMaximum(lines: Int) -> Int { max(64, min(4096, lines / 4)) }
    /// A dictionary has at most a tenth as many values as the column.
    private static let dictionaryShare = 10
    private static let dictionaryMaximum = 1 << 16
    /// Values split again make at most a third as many templates.
    private static let templateShare = 3

    /// An encoder of lines within `bytes`, which must outlive it.
    init(_ bytes: UnsafePointer<UInt8>, times: [Int64], level: Int) {
        base = bytes
        self.times = times
        writer = ColumnWriter(level: level)
    }

    /// The builder's templates.
    var table: TemplateTable { builder.table }

    /// Writes the lines that end at `ends`.
    mutating func encodeLines(ends: [Int]) {
        let rows = TemplateRows(
            takeBuilder(), values: ends.count, leavesMaximum: ColumnEncoder.leavesMaximum(lines: ends.count))
        var tokenizer = LineTokenizer(rows, base)
        var start = 0
        for (row, end) in ends.enumerated() {
            tokenizer.split(start..<end, row: row)
            start = end
        }
        builder = tokenizer.takeBuilder()
        encode(tokenizer.rows, isNested: false, isClean: true)
    }

    /// Hands the templates over to whoever adds to them; one owner at a time, so that they are never copied.
    private mutating func takeBuilder() -> TemplateBuilder {
        var taken = TemplateBuilder.empty
        swap(&taken, &builder)
        return taken
    }

    /// Writes templates and columns; returns what runs of word bytes the values can have.
    @discardableResult
    private mutating func encode(_ rows: TemplateRows, isNested: Bool, isClean: Bool) -> TextRuns {
        writer.descriptions.putVarint(UInt64(rows.leaves.count))
        for leaf in rows.leaves { writer.descriptions.putVarint(UInt64(number(of: leaf))) }
        IntegerCoding.encode(rows.leafIndexes.map { Int64($0) }, to: &writer)
        let layout = TemplateLayout(leaves: rows.leaves, in: builder.table)
        let clean = cleanColumns(layout, rows.leaves, edges: isClean)
        var runs: [TextRuns] = []
        for (column, values) in rows.orderedColumns(layout).enumerated() {
            runs.append(encode(values, isNested: isNested, isClean: clean[column]))
        }
        var all: TextRuns?
        for (index, leaf) in rows.leaves.enumerated() {
            var line = TextRuns.none
            for (place, node) in builder.table.slots(of: leaf).enumerated() {
                line.follow(with: staticRuns(node))
                line.follow(with: runs[layout.columns[index][place]])
            }
            line.follow(with: staticRuns(leaf))
            if all == nil { all = line } else { all?.formUnion(line) }
        }
        let result = all ?? TextRuns.none
        if !isNested {
            words.noteUnindexed(result.words.longest)
            words.noteUnindexedRun(result.identifiers.longest)
        }
        return result
    }

    private func staticRuns(_ node: Int) -> TextRuns { builder.table.text(node).withUnsafeBytes { TextRuns($0) } }

    private mutating func number(of leaf: Int) -> Int {
        if let known = numbers[leaf] { return known }
        numbers[leaf] = leaves.count
        leaves.append(leaf)
        return leaves.count - 1
    }

    /// Which columns have, wherever they stand, a byte before and behind that is of no word. `edges` says so of the
    /// whole.
    private func cleanColumns(_ layout: TemplateLayout, _ leaves: [Int], edges: Bool) -> [Bool] {
        let table = builder.table
        let classes = ByteClasses.table
        func isWord(_ byte: UInt8) -> Bool { classes[Int(byte)] & ByteClasses.word != 0 }
        var clean = [Bool](repeating: true, count: layout.nodes.count)
        for (index, leaf) in leaves.enumerated() {
            let slots = table.slots(of: leaf)
            for (place, node) in slots.enumerated() {
                let before = table.text(node).last
                let isLast = place + 1 == slots.count
                let behind = table.text(isLast ? leaf : slots[place + 1]).first
                let startsClean = before.map { !isWord($0) } ?? (place == 0 && edges)
                let endsClean = behind.map { !isWord($0) } ?? (isLast && edges)
                if !startsClean || !endsClean { clean[layout.columns[index][place]] = false }
            }
        }
        return clean
    }

    // MARK: One column

    /// Writes a column as the first type that gives every value back.
    private mutating func encode(_ values: [SlotValue], isNested: Bool, isClean: Bool) -> TextRuns {
        let shape = ValueShape(values, in: base)
        if shape.isConstant, let first = values.first {
            begin(.constant, values.count)
            let text = bytes(of: first)
            writer.put(text)
            return TextRuns(text)
        }
        if let runs = encodeNumbers(values, shape) { return runs }
        if let runs = encodeIdentifiers(values, shape, isClean: isClean) { return runs }
        let limit = min(max(values.count / ColumnEncoder.dictionaryShare, 4), ColumnEncoder.dictionaryMaximum)
        if let (distinct, indexes) = ValueParsing.dictionary(values, in: base, limit: limit) {
            begin(.dictionary, values.count)
            writer.descriptions.putVarint(UInt64(distinct.count))
            putTexts(distinct)
            IntegerCoding.encode(indexes, to: &writer)
            return runs(of: distinct)
        }
        if !isNested, let rows = split(values) {
            begin(.templated, values.count)
            return encode(rows, isNested: true, isClean: isClean)
        }
        begin(.raw, values.count)
        putTexts(values)
        guard isClean else { return runs(of: values) }
        for value in values { words.addWords(of: bytes(of: value)) }
        return .barrier
    }

    private mutating func begin(_ kind: ColumnKind, _ count: Int) {
        writer.descriptions.put(kind.rawValue)
        writer.descriptions.putVarint(UInt64(count))
    }

    private func bytes(of value: SlotValue) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Int(value.start), count: Int(value.count))
    }

    private mutating func encodeNumbers(_ values: [SlotValue], _ shape: ValueShape) -> TextRuns? {
        if shape.longest >= 10, let (form, offsets) = ValueParsing.timestamps(values, in: base, times: times) {
            begin(.timestamps, values.count)
            writer.descriptions.put(form.kind.rawValue)
            writer.descriptions.put([form.dateSeparator, form.timeSeparator, form.fractionSeparator])
            writer.descriptions.put(UInt8(form.fractionDigits))
            writer.descriptions.putPrefixed(form.suffix)
            IntegerCoding.encode(offsets, to: &writer)
            // Digits stand for digits: all values have the runs of the first.
            return values.first.map { TextRuns(bytes(of: $0)) } ?? TextRuns.none
        }
        if shape.mayBeInteger, let integers = ValueParsing.integers(values, in: base) {
            begin(.integers, values.count)
            IntegerCoding.encode(integers, to: &writer)
            return TextRuns(both: .all(shape.longest))
        }
        if shape.mayBeFixed, let integers = ValueParsing.fixed(values, in: base) {
            begin(.fixed, values.count)
            writer.descriptions.put(UInt8(shape.longest))
            IntegerCoding.encode(integers, to: &writer)
            return TextRuns(both: .all(shape.longest))
        }
        if shape.mayBeDecimal, let (mantissas, scales) = ValueParsing.decimals(values, in: base) {
            begin(.decimals, values.count)
            IntegerCoding.encode(scales, to: &writer)
            IntegerCoding.encode(mantissas, to: &writer)
            return TextRuns(
                both: WordRuns(prefix: shape.longest, suffix: shape.longest, longest: shape.longest))
        }
        if shape.mayBeAddress, let addresses = ValueParsing.addresses(values, in: base) {
            begin(.addresses, values.count)
            IntegerCoding.encode(addresses, to: &writer)
            return TextRuns(both: WordRuns(prefix: 3, suffix: 3, longest: 3))
        }
        return nil
    }

    private mutating func encodeIdentifiers(
        _ values: [SlotValue], _ shape: ValueShape, isClean: Bool
    ) -> TextRuns? {
        let isUpper: UInt8 = shape.hasUpper ? 1 : 0
        if shape.mayBeHexadecimal, shape.longest <= 16, let numbers = ValueParsing.hexadecimal(values, in: base) {
            begin(.hexadecimal, values.count)
            writer.descriptions.put(UInt8(shape.longest) << 1 | isUpper)
            IntegerCoding.encode(numbers, to: &writer)
        } else if shape.mayBeHexadecimal, let packed = ValueParsing.packed(values, in: base, skipsHyphens: false) {
            begin(.identifiers, values.count)
            writer.descriptions.put(UInt8(shape.longest))
            writer.descriptions.put(isUpper)
            writer.put(packed, hasLength: false)
        } else if shape.mayBeUUID, let packed = ValueParsing.packed(values, in: base, skipsHyphens: true) {
            begin(.uuids, values.count)
            writer.descriptions.put(isUpper)
            writer.put(packed, hasLength: false)
        } else {
            return nil
        }
        guard isClean, shape.longest >= WordCollector.wordBytesMinimum else {
            return TextRuns(both: .all(shape.longest))
        }
        for value in values { words.add(bytes(of: value)) }
        return .barrier
    }

    private func runs(of values: [SlotValue]) -> TextRuns {
        var runs: TextRuns?
        for value in values {
            let found = TextRuns(bytes(of: value))
            if runs == nil { runs = found } else { runs?.formUnion(found) }
        }
        return runs ?? TextRuns.none
    }

    /// Appends lengths and bytes of texts.
    private mutating func putTexts(_ values: [SlotValue]) {
        IntegerCoding.encode(values.map { Int64($0.count) }, to: &writer)
        var all: [UInt8] = []
        all.reserveCapacity(values.reduce(0) { $0 + Int($1.count) })
        for value in values { all.append(contentsOf: bytes(of: value)) }
        writer.put(all)
    }

    /// Splits values again; nil when they have too little in common.
    private mutating func split(_ values: [SlotValue]) -> TemplateRows? {
        let limit = max(4, min(values.count / ColumnEncoder.templateShare, 4096))
        var tokenizer = ValueTokenizer(
            TemplateRows(takeBuilder(), values: values.count, leavesMaximum: limit), base)
        for value in values {
            tokenizer.split(value)
            if tokenizer.rows.leaves.count >= limit { break }
        }
        builder = tokenizer.takeBuilder()
        // A single template without structure is the column again.
        let leaves = tokenizer.rows.leaves
        if leaves.count >= limit || leaves.allSatisfy({ $0 == TemplateTable.rawLeaf }) { return nil }
        return tokenizer.rows
    }
}
