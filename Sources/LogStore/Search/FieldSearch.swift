internal import Telemetry

/// Comparisons with fields of JSON objects or logfmt pairs, made on columns before a line is rebuilt. It drops lines
/// that whoever reads the field would drop, and keeps all others: those in doubt too.
final class FieldSearch {
    private enum Test {
        case text([UInt8], number: Int64?)
        case number(FieldPredicate.Comparison, Double)

        /// Whether a line without the field is dropped.
        var needsField: Bool {
            if case .text = self { return true }
            return false
        }
    }

    private struct Field {
        let name: String
        let bytes: [UInt8]
        let test: Test
        /// For the templates of the part that was met last, where they have the field.
        var places: [Int: FieldPlace] = [:]
    }

    private let parser: LogPlanFragment.Parser
    private var fields: [Field] = []
    private var tableOwner: ObjectIdentifier?
    /// What was asked for of the block that was selected from last.
    private(set) var evidence = Evidence.templates

    /// Nil when there is nothing that columns can tell.
    init?(_ fragment: LogPlanFragment) {
        guard let parser = fragment.parser else { return nil }
        self.parser = parser
        for predicate in fragment.fieldPredicates {
            guard let test = FieldSearch.test(predicate) else { continue }
            fields.append(Field(name: predicate.field, bytes: Array(predicate.field.utf8), test: test))
        }
        if fields.isEmpty { return nil }
    }

    private static func test(_ predicate: FieldPredicate) -> Test? {
        if let number = predicate.number {
            switch predicate.comparison {
            case .matchesRegex, .notMatchesRegex: return nil
            default: return .number(predicate.comparison, number)
            }
        }
        guard predicate.comparison == .equal, !predicate.value.isEmpty else { return nil }
        let bytes = Array(predicate.value.utf8)
        let number = bytes.withUnsafeBufferPointer { $0.baseAddress.flatMap { ValueParsing.integer($0, bytes.count) } }
        return .text(bytes, number: number)
    }

    /// Those of `lines`, which rise, that may pass. Labels of the stream come before fields of their name.
    func select(_ block: OpenBlock, _ lines: [Int32], labels: Labels) throws -> [Int32] {
        evidence = .templates
        if block.summary.hasMetadata || lines.isEmpty { return lines }
        if tableOwner != block.tableOwner {
            tableOwner = block.tableOwner
            for index in fields.indices { fields[index].places = [:] }
        }
        var kept = lines
        for index in fields.indices where labels[fields[index].name] == nil && !kept.isEmpty {
            kept = try select(block, kept, &fields[index])
        }
        return kept
    }

    private func select(_ block: OpenBlock, _ lines: [Int32], _ field: inout Field) throws -> [Int32] {
        let templates = try block.templates()
        let stored = block.lines
        // For each leaf -1 for keep, -2 for drop, else the column.
        var columns: [Int] = []
        for (number, leaf) in stored.leaves.enumerated() {
            let place = field.places[leaf] ?? place(of: field.bytes, leaf, block)
            field.places[leaf] = place
            switch place {
            case .unknown: columns.append(-1)
            case .absent: columns.append(field.test.needsField ? -2 : -1)
            case .slot(let slot): columns.append(stored.layout.columns[number][slot])
            }
        }
        if columns.allSatisfy({ $0 == -1 }) { return lines }
        var verdicts = [ColumnVerdict?](repeating: nil, count: stored.columns.count)
        for column in Set(columns) where column >= 0 {
            if try isRuledOut(stored.columns[column], field.test, block) {
                verdicts[column] = ColumnVerdict(passing: [], rows: nil)
                continue
            }
            evidence.rise(to: .values)
            let rows = templates.rows(ofColumn: column)
            verdicts[column] = ColumnVerdict(
                passing: try passing(try block.values(stored.columns[column], rows: rows), field.test), rows: rows)
        }
        return lines.filter { line in
            let column = columns[Int(templates.leafIndexes[Int(line)])]
            if column < 0 { return column == -1 }
            return verdicts[column]?.holds(line) ?? true
        }
    }

    private func place(of name: [UInt8], _ leaf: Int, _ block: OpenBlock) -> FieldPlace {
        // Lines that fit no template can be anything.
        if leaf == TemplateTable.rawLeaf { return .unknown }
        let nodes = block.table.slots(of: leaf) + [leaf]
        return FieldPlace(name, parser, in: nodes.map { block.table.text($0) })
    }

    /// Whether no value of a column passes, as far as that shows without restoring it.
    private func isRuledOut(_ column: StoredColumn, _ test: Test, _ block: OpenBlock) throws -> Bool {
        switch column.form {
        case .integers(let stored):
            guard let bounds = stored.bounds else { return false }
            evidence.rise(to: .numbers)
            switch test {
            case .text(_, let number): return number.map { !bounds.contains($0) } ?? true
            case .number(let comparison, let right):
                guard bounds.lowerBound.magnitude < 1 << 53, bounds.upperBound.magnitude < 1 << 53 else { return false }
                return !comparison.mayHold(Double(bounds.lowerBound)...Double(bounds.upperBound), right)
            }
        case .dictionary:
            evidence.rise(to: .dictionaries)
            let texts = try block.texts(of: column)
            return !(0..<texts.count).contains { texts.withText($0) { passes($0, test) } }
        default: return false
        }
    }

    /// Whether a value with this text may pass.
    private func passes(_ text: UnsafeRawBufferPointer, _ test: Test) -> Bool {
        switch test {
        case .number(let comparison, let right):
            guard let (value, scale) = FieldSearch.number(text) else { return true }
            return value.magnitude >= 1 << 53 || scale > 15
                || comparison.holds(Double(value) / Double(TimestampForm.powers[scale]), right)
        // An escape may stand for anything.
        case .text(let wanted, _): return text.elementsEqual(wanted) || text.contains(0x5c)
        }
    }

    /// Which values pass; nil when all may.
    private func passing(_ values: ColumnValues, _ test: Test) throws -> [Bool]? {
        switch test {
        case .number(let comparison, let right):
            return values.passing { value, scale in
                // Up to here a quotient is the nearest number, as a reader of the text finds it.
                guard value.magnitude < 1 << 53, scale <= 15 else { return true }
                return comparison.holds(Double(value) / Double(TimestampForm.powers[scale]), right)
            } texts: {
                passes($0, test)
            }
        case .text(_, let number):
            return values.passing { value, scale in
                scale == 0 ? value == number : true
            } texts: {
                passes($0, test)
            }
        }
    }

    /// A plain decimal number.
    private static func number(_ text: UnsafeRawBufferPointer) -> (value: Int64, scale: Int)? {
        guard let base = text.assumingMemoryBound(to: UInt8.self).baseAddress else { return nil }
        if let value = ValueParsing.integer(base, text.count) { return (value, 0) }
        let whole = [SlotValue(start: 0, count: UInt32(truncatingIfNeeded: text.count), row: 0)]
        guard text.contains(UInt8(ascii: ".")), let (mantissas, scales) = ValueParsing.decimals(whole, in: base) else {
            return nil
        }
        return (mantissas[0], Int(scales[0]))
    }
}

/// Which lines pass by the values of one column.
private struct ColumnVerdict {
    let passing: [Bool]?
    let rows: ArraySlice<Int32>?

    func holds(_ line: Int32) -> Bool {
        guard let passing else { return true }
        if passing.isEmpty { return false }
        guard let rows else { return passing[Int(line)] }
        return passing[rows.firstIndex(atOrAfter: line) - rows.startIndex]
    }
}

extension FieldPredicate.Comparison {
    /// Whether some number of a range may compare like this.
    fileprivate func mayHold(_ range: ClosedRange<Double>, _ right: Double) -> Bool {
        switch self {
        case .equal: range.contains(right)
        case .notEqual: range.lowerBound != right || range.upperBound != right
        case .less: range.lowerBound < right
        case .lessOrEqual: range.lowerBound <= right
        case .greater: range.upperBound > right
        case .greaterOrEqual: range.upperBound >= right
        case .matchesRegex, .notMatchesRegex: true
        }
    }

    /// Whether numbers compare like this.
    fileprivate func holds(_ left: Double, _ right: Double) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        case .matchesRegex, .notMatchesRegex: true
        }
    }
}

extension ColumnValues {
    /// Which values pass, by their number (value and digits behind the point) or by their text; nil when all may, empty
    /// when none does. Numbers with leading zeros are asked for as texts.
    fileprivate func passing(
        numbers: (Int64, Int) -> Bool, texts test: (UnsafeRawBufferPointer) -> Bool
    ) -> [Bool]? {
        switch self {
        case .integers(let column): return column.values.map { numbers($0, 0) }
        case .decimals(let scales, let mantissas):
            return zip(mantissas.values, scales.values).map { numbers($0, min(max(Int($1), 0), 18)) }
        case .constant(let bytes): return bytes.withUnsafeBytes { test($0) } ? nil : []
        case .dictionary(let texts, let indexes):
            let entries = (0..<texts.count).map { texts.withText($0) { test($0) } }
            return indexes.values.map { entries[Int($0)] }
        case .raw(let texts): return (0..<texts.count).map { texts.withText($0) { test($0) } }
        case .fixed(let width, let column):
            var text: [UInt8] = []
            return column.values.map { value in
                text.removeAll(keepingCapacity: true)
                TimestampForm.append(value, width: width, to: &text)
                return text.withUnsafeBytes { test($0) }
            }
        case .addresses, .hexadecimal, .packed, .timestamps, .templated: return nil
        }
    }
}
