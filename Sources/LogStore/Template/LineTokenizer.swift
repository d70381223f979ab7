internal import Glibc
internal import Telemetry

/// Splits lines into static text and slots: values of JSON objects, quoted texts, values of `key=value`, timestamps and
/// words with a digit. What it chooses decides how small a block becomes, never whether a line comes back.
struct LineTokenizer {
    private(set) var rows: TemplateRows
    /// The bytes of all lines.
    private let base: UnsafePointer<UInt8>
    private let classes = ByteClasses.table

    /// A tokenizer for lines within `bytes`, which must outlive it.
    init(_ rows: consuming TemplateRows, _ bytes: UnsafePointer<UInt8>) {
        self.rows = rows
        base = bytes
    }

    /// Gives the templates back.
    mutating func takeBuilder() -> TemplateBuilder { rows.takeBuilder() }

    /// A text with `<_>` for all that would be a slot of a template; nil for objects and empty texts.
    static func masked(_ text: UnsafeRawBufferPointer) -> String? {
        guard let base = text.assumingMemoryBound(to: UInt8.self).baseAddress, text.count > 0,
            base[0] != UInt8(ascii: "{")
        else { return nil }
        let tokenizer = LineTokenizer(TemplateRows(TemplateBuilder(), values: 0, leavesMaximum: 0), base)
        var masked: [UInt8] = []
        var index = 0
        var staticStart = 0
        while let (slot, slotEnd) = tokenizer.nextTextSlot(from: index, text.count) {
            masked += text[staticStart..<slot]
            masked += "<_>".utf8
            staticStart = slotEnd
            index = tokenizer.behindSlot(slotEnd, text.count, slot)
        }
        masked += text[staticStart...]
        return String(decoding: masked, as: UTF8.self)
    }

    /// Longer lines are kept whole: nobody writes templates of that length.
    static let lineBytesMaximum = 32 << 10

    /// Splits the line at `range`, the `row`th of its block.
    mutating func split(_ range: Range<Int>, row: Int) {
        let isDone =
            range.count <= LineTokenizer.lineBytesMaximum
            && (range.isEmpty || base[range.lowerBound] != UInt8(ascii: "{")
                ? splitText(range.lowerBound, range.upperBound, staticStart: range.lowerBound, row)
                : splitObject(range.lowerBound, range.upperBound, row))
        if !isDone { rows.keepWhole(value(range.lowerBound, range.upperBound, row)) }
    }

    @inline(__always)
    private func value(_ start: Int, _ end: Int, _ row: Int) -> SlotValue {
        SlotValue(
            start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: end - start),
            row: UInt32(truncatingIfNeeded: row))
    }

    @inline(__always)
    private func text(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + start, count: end - start)
    }

    /// The offset of the next quote that is not escaped; nil when there is none.
    @inline(__always)
    private func closingQuote(_ start: Int, _ end: Int) -> Int? {
        var from = start
        while from < end {
            guard let hit = memchr(base + from, Int32(UInt8(ascii: "\"")), end - from) else { return nil }
            let found = UnsafeRawPointer(hit) - UnsafeRawPointer(base)
            var slashes = found
            while slashes > start, base[slashes - 1] == UInt8(ascii: "\\") { slashes -= 1 }
            if (found - slashes) & 1 == 0 { return found }
            from = found + 1
        }
        return nil
    }

    // MARK: Text

    private mutating func splitText(_ start: Int, _ end: Int, staticStart: Int, _ row: Int) -> Bool {
        var index = start
        var staticStart = staticStart
        while true {
            if index >= staticStart,
                let known = rows.builder.predicted(rows.position, at: base + staticStart, room: end - staticStart + 1)
            {
                let slot = staticStart + known.length
                if slot >= index, let slotEnd = textSlot(at: slot, end, lineStart: start) {
                    rows.take(known.node, value(slot, slotEnd, row))
                    staticStart = slotEnd
                    index = behindSlot(slotEnd, end, slot)
                    continue
                }
            }
            guard let (slot, slotEnd) = nextTextSlot(from: index, end) else { break }
            guard rows.slot(text(staticStart, slot), value(slot, slotEnd, row)) else { return false }
            staticStart = slotEnd
            index = behindSlot(slotEnd, end, slot)
        }
        return rows.end(text(staticStart, end))
    }

    /// Where to look on behind a slot: a quote that closes it opens nothing.
    @inline(__always)
    private func behindSlot(_ slotEnd: Int, _ end: Int, _ slot: Int) -> Int {
        slotEnd < end && base[slotEnd] == UInt8(ascii: "\"") ? slotEnd + 1 : slotEnd
    }

    /// The end of the slot that begins at `slot`, judged by the byte before it; nil when none begins there.
    @inline(__always)
    private func textSlot(at slot: Int, _ end: Int, lineStart: Int) -> Int? {
        guard slot > lineStart else { return wordSlot(slot, end) }
        switch base[slot - 1] {
        case UInt8(ascii: "\""): return closingQuote(slot, end)
        case UInt8(ascii: "="): return valueSlot(slot, end)
        default:
            guard classes[Int(base[slot - 1])] & ByteClasses.delimiter != 0 else { return nil }
            return wordSlot(slot, end)
        }
    }

    /// The end of the word with a digit at `start`; nil when there is none.
    @inline(__always)
    private func wordSlot(_ start: Int, _ end: Int) -> Int? {
        var index = start
        var seen: UInt8 = 0
        while index < end {
            let kind = classes[Int(base[index])]
            if kind & ByteClasses.delimiter != 0 { break }
            seen |= kind
            index += 1
        }
        guard seen & ByteClasses.digit != 0 else { return nil }
        // A date and, behind one space, a time of day are one value.
        if index - start == 10, end - index > 8, base[index] == UInt8(ascii: " "), base[index + 3] == UInt8(ascii: ":"),
            base[index + 6] == UInt8(ascii: ":"), classes[Int(base[start])] & ByteClasses.digit != 0,
            base[start + 4] == base[start + 7],
            base[start + 4] == UInt8(ascii: "-") || base[start + 4] == UInt8(ascii: "/")
        {
            index += 1
            while index < end, classes[Int(base[index])] & ByteClasses.delimiter == 0 { index += 1 }
            // "12:00:00,123": the comma of milliseconds.
            if index + 3 < end, base[index] == UInt8(ascii: ","), isDigit(index + 1), isDigit(index + 2),
                isDigit(index + 3)
            {
                index += 1
                while index < end, isDigit(index) { index += 1 }
            }
        }
        return index
    }

    @inline(__always)
    private func isDigit(_ index: Int) -> Bool { classes[Int(base[index])] & ByteClasses.digit != 0 }

    /// The end of the value behind `=`; nil when it is empty or quoted.
    @inline(__always)
    private func valueSlot(_ start: Int, _ end: Int) -> Int? {
        var index = start
        while index < end, classes[Int(base[index])] & ByteClasses.valueEnd == 0 { index += 1 }
        return index > start ? index : nil
    }

    private func nextTextSlot(from start: Int, _ end: Int) -> (Int, Int)? {
        var index = start
        while index < end {
            let byte = base[index]
            guard classes[Int(byte)] & ByteClasses.delimiter != 0 else {
                if let wordEnd = wordSlot(index, end) { return (index, wordEnd) }
                while index < end, classes[Int(base[index])] & ByteClasses.delimiter == 0 { index += 1 }
                continue
            }
            index += 1
            if byte == UInt8(ascii: "\"") {
                if let quote = closingQuote(index, end) { return (index, quote) }
            } else if byte == UInt8(ascii: "=") {
                if let valueEnd = valueSlot(index, end) { return (index, valueEnd) }
            }
        }
        return nil
    }

    // MARK: JSON objects

    private mutating func splitObject(_ start: Int, _ end: Int, _ row: Int) -> Bool {
        var index = start
        var staticStart = start
        while true {
            if let known = rows.builder.predicted(rows.position, at: base + staticStart, room: end - staticStart + 1) {
                let slot = staticStart + known.length
                if slot > start, let slotEnd = objectSlot(at: slot, end) {
                    rows.take(known.node, value(slot, slotEnd, row))
                    staticStart = slotEnd
                    index = behindSlot(slotEnd, end, slot)
                    continue
                }
            }
            switch nextObjectSlot(from: index, end) {
            case .slot(let slot, let slotEnd):
                guard rows.slot(text(staticStart, slot), value(slot, slotEnd, row)) else { return false }
                staticStart = slotEnd
                index = behindSlot(slotEnd, end, slot)
            case .end:
                return rows.end(text(staticStart, end))
            case .broken(let place):
                // No object, or text behind one: the rest is split as text.
                return splitText(place, end, staticStart: staticStart, row)
            }
        }
    }

    private enum ObjectStep {
        case slot(Int, Int)
        case end
        case broken(Int)
    }

    /// The end of the value at `slot`; nil when none begins there that could be a slot.
    @inline(__always)
    private func objectSlot(at slot: Int, _ end: Int) -> Int? {
        guard slot < end else { return nil }
        if base[slot - 1] == UInt8(ascii: "\"") { return closingQuote(slot, end) }
        return bareValue(slot, end)
    }

    /// The end of a number, name or array; nil when something else begins at `start`.
    @inline(__always)
    private func bareValue(_ start: Int, _ end: Int) -> Int? {
        guard start < end else { return nil }
        switch base[start] {
        case UInt8(ascii: "{"), UInt8(ascii: "\""): return nil
        case UInt8(ascii: "["): return arrayEnd(start, end)
        default:
            var index = start
            while index < end, classes[Int(base[index])] & ByteClasses.jsonEnd == 0 { index += 1 }
            return index > start ? index : nil
        }
    }

    private func arrayEnd(_ start: Int, _ end: Int) -> Int? {
        var depth = 0
        var index = start
        while index < end {
            switch base[index] {
            case UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { return index + 1 }
            case UInt8(ascii: "\""):
                guard let quote = closingQuote(index + 1, end) else { return nil }
                index = quote
            default: break
            }
            index += 1
        }
        return nil
    }

    /// The next value behind a key.
    private func nextObjectSlot(from start: Int, _ end: Int) -> ObjectStep {
        var index = start
        while index < end {
            switch base[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: ","), UInt8(ascii: "{"), UInt8(ascii: "}"):
                index += 1
            case UInt8(ascii: "\""):
                guard let quote = closingQuote(index + 1, end) else { return .broken(index) }
                index = quote + 1
                while index < end, base[index] == UInt8(ascii: " ") { index += 1 }
                guard index < end, base[index] == UInt8(ascii: ":") else { return .broken(index) }
                index += 1
                while index < end, base[index] == UInt8(ascii: " ") { index += 1 }
                guard index < end else { return .end }
                if base[index] == UInt8(ascii: "{") { continue }
                if base[index] == UInt8(ascii: "\"") {
                    guard let closing = closingQuote(index + 1, end) else { return .broken(index) }
                    return .slot(index + 1, closing)
                }
                guard let valueEnd = bareValue(index, end) else { return .broken(index) }
                return .slot(index, valueEnd)
            default:
                return .broken(index)
            }
        }
        return .end
    }
}
