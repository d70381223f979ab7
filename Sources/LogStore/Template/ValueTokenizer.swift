internal import Glibc
internal import Telemetry

/// Splits values once more: runs of digits, decimals, addresses, runs of hexadecimal digits and the values of
/// `key=value`
/// within a value are slots.
struct ValueTokenizer {
    private(set) var rows: TemplateRows
    private let base: UnsafePointer<UInt8>
    private let classes = ByteClasses.table

    /// Gives the templates back.
    mutating func takeBuilder() -> TemplateBuilder { rows.takeBuilder() }

    /// Longer values are kept whole.
    static let valueBytesMaximum = 4096
    /// A run of hexadecimal digits with a letter is a slot from this length on.
    static let hexadecimalMinimum = 4

    /// A tokenizer for values within `bytes`, which must outlive it.
    init(_ rows: consuming TemplateRows, _ bytes: UnsafePointer<UInt8>) {
        self.rows = rows
        base = bytes
    }

    /// Splits a value.
    mutating func split(_ whole: SlotValue) {
        let start = Int(whole.start)
        let end = start + Int(whole.count)
        if whole.count > ValueTokenizer.valueBytesMaximum || !split(start, end, whole.row) { rows.keepWhole(whole) }
    }

    private mutating func split(_ start: Int, _ end: Int, _ row: UInt32) -> Bool {
        var index = start
        var staticStart = start
        while index < end {
            guard let slotEnd = slot(at: index, end, valueStart: start) else {
                index += 1
                continue
            }
            let text = UnsafeRawBufferPointer(start: base + staticStart, count: index - staticStart)
            let value = SlotValue(
                start: UInt32(truncatingIfNeeded: index), count: UInt32(truncatingIfNeeded: slotEnd - index), row: row)
            guard rows.slot(text, value) else { return false }
            staticStart = slotEnd
            index = slotEnd
        }
        return rows.end(UnsafeRawBufferPointer(start: base + staticStart, count: end - staticStart))
    }

    @inline(__always)
    private func isDigit(_ index: Int) -> Bool { classes[Int(base[index])] & ByteClasses.digit != 0 }

    @inline(__always)
    private func isHexadecimal(_ index: Int) -> Bool {
        classes[Int(base[index])] & (ByteClasses.digit | ByteClasses.hexadecimalLetter) != 0
    }

    /// The end of the slot that begins at `index`; nil when none does.
    @inline(__always)
    private func slot(at index: Int, _ end: Int, valueStart: Int) -> Int? {
        let kind = classes[Int(base[index])]
        guard kind & (ByteClasses.digit | ByteClasses.hexadecimalLetter) != 0 else {
            return index > valueStart && base[index - 1] == UInt8(ascii: "=") ? assigned(index, end) : nil
        }
        if index > valueStart, base[index - 1] == UInt8(ascii: "="), kind & ByteClasses.digit == 0 {
            return assigned(index, end)
        }
        // Runs begin where a word begins.
        if index > valueStart, classes[Int(base[index - 1])] & (ByteClasses.digit | ByteClasses.hexadecimalLetter) != 0
        {
            return nil
        }
        var run = index
        var digits = 0
        while run < end, isHexadecimal(run) {
            if isDigit(run) { digits += 1 }
            run += 1
        }
        if digits == run - index { return numberEnd(index, run, end) }
        if digits > 0, run - index >= ValueTokenizer.hexadecimalMinimum { return run }
        if kind & ByteClasses.digit != 0 {
            run = index
            while run < end, isDigit(run) { run += 1 }
            return run
        }
        return nil
    }

    /// A run of digits goes on to a decimal or an address where that is one.
    @inline(__always)
    private func numberEnd(_ start: Int, _ runEnd: Int, _ end: Int) -> Int {
        guard runEnd + 1 < end, base[runEnd] == UInt8(ascii: "."), isDigit(runEnd + 1) else { return runEnd }
        var second = runEnd + 1
        while second < end, isDigit(second) { second += 1 }
        guard second + 1 < end, base[second] == UInt8(ascii: "."), isDigit(second + 1) else { return second }
        var third = second + 1
        while third < end, isDigit(third) { third += 1 }
        guard third + 1 < end, base[third] == UInt8(ascii: "."), isDigit(third + 1) else { return runEnd }
        var fourth = third + 1
        while fourth < end, isDigit(fourth) { fourth += 1 }
        return fourth
    }

    @inline(__always)
    private func assigned(_ start: Int, _ end: Int) -> Int? {
        var index = start
        while index < end, classes[Int(base[index])] & ByteClasses.valueEnd == 0 { index += 1 }
        return index > start ? index : nil
    }
}
