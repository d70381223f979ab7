/// Fields of JSON objects and logfmt pairs that say what happened. Their values stay in a pattern, with `<_>` only for
/// what varies within them: without that all lines of one shape would be one pattern, whatever they say.
enum MessageField {
    /// More fields of one template than this are `<_>`.
    static let maximum = 4

    private static let names: Set<String> = [
        "msg", "message", "event", "error", "err", "reason", "exception", "level", "lvl", "severity",
    ]

    /// The slots of a template that are values of such fields, by their number from its start.
    static func slots(of leaf: Int, in table: TemplateTable) -> [Int] {
        let nodes = table.slots(of: leaf)
        let found = nodes.indices.filter { number in
            name(before: table.text(nodes[number])).map { names.contains($0.lowercased()) } ?? false
        }
        return Array(found.prefix(maximum))
    }

    /// The key at the end of a static text: `… "msg":"` or `… msg=`.
    private static func name(before text: ArraySlice<UInt8>) -> String? {
        var rest = text
        if rest.last == UInt8(ascii: "\"") { rest.removeLast() }
        if rest.last == UInt8(ascii: "=") {
            let key = rest.dropLast().reversed().prefix { ByteSet.word.contains($0) }
            return String(decoding: key.reversed(), as: UTF8.self)
        }
        while rest.last == UInt8(ascii: " ") { rest.removeLast() }
        guard rest.popLast() == UInt8(ascii: ":") else { return nil }
        while rest.last == UInt8(ascii: " ") { rest.removeLast() }
        guard rest.popLast() == UInt8(ascii: "\"") else { return nil }
        let key = rest.reversed().prefix { $0 != UInt8(ascii: "\"") }
        return String(decoding: key.reversed(), as: UTF8.self)
    }
}

/// Texts of message fields, numbered; 0 is `<_>`, which also stands for texts beyond the bounds.
struct MessageWords {
    static let varying: Int32 = 0
    private static let countMaximum = 4_096
    private static let bytesMaximum = 200

    private var texts = ["<_>"]
    private var numbers: [String: Int32] = [:]

    /// The text of a number.
    func text(_ number: Int32) -> String { texts[Int(number)] }

    /// What the values of a column say, each as a number.
    mutating func column(_ values: ColumnValues) -> MessageColumn {
        switch values {
        case .constant(let bytes): return .constant(bytes.withUnsafeBytes { number(of: $0) })
        case .dictionary(let texts, let indexes):
            return .dictionary((0..<texts.count).map { texts.withText($0) { number(of: $0) } }, indexes)
        case .raw(let texts): return .list((0..<texts.count).map { texts.withText($0) { number(of: $0) } })
        case .templated(let values): return templated(values)
        case .integers, .fixed, .decimals, .addresses, .hexadecimal, .packed, .timestamps:
            return .constant(MessageWords.varying)
        }
    }

    /// All values of a template have the same text but for its slots, so that one of them tells; those without a
    /// template each have their own.
    private mutating func templated(_ values: TemplateValues) -> MessageColumn {
        var known = [Int32](repeating: -1, count: values.stored.leaves.count)
        var text: [UInt8] = []
        var numbers: [Int32] = []
        numbers.reserveCapacity(values.leafIndexes.count)
        for (row, index) in values.leafIndexes.enumerated() {
            if known[Int(index)] >= 0 {
                numbers.append(known[Int(index)])
                continue
            }
            text.removeAll(keepingCapacity: true)
            values.append(row, to: &text)
            let number = text.withUnsafeBytes { self.number(of: $0) }
            if values.stored.leaves[Int(index)] != TemplateTable.rawLeaf { known[Int(index)] = number }
            numbers.append(number)
        }
        return .list(numbers)
    }

    private mutating func number(of text: UnsafeRawBufferPointer) -> Int32 {
        guard text.count <= MessageWords.bytesMaximum, let masked = LineTokenizer.masked(text) else {
            return MessageWords.varying
        }
        if let known = numbers[masked] { return known }
        guard texts.count < MessageWords.countMaximum else { return MessageWords.varying }
        let number = Int32(texts.count)
        texts.append(masked)
        numbers[masked] = number
        return number
    }
}

/// What each value of a column says, as numbers of `MessageWords`.
enum MessageColumn {
    case constant(Int32)
    case dictionary([Int32], IntegerColumn)
    case list([Int32])

    subscript(index: Int) -> Int32 {
        switch self {
        case .constant(let number): number
        case .dictionary(let numbers, let indexes): numbers[Int(indexes[index])]
        case .list(let numbers): numbers[index]
        }
    }
}
