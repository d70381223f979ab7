internal import Telemetry

/// Where the lines of one template have the value of a field, found from the template's static texts. Whatever is not
/// beyond doubt is unknown: then somebody else has to look at the lines.
enum FieldPlace: Equatable {
    case unknown
    /// No line of the template has the field.
    case absent
    /// The whole value is the slot with this number, from the start of the template.
    case slot(Int)

    /// Looks for the field `name`, a plain name, in lines of a template with these static texts, each but the last
    /// followed by a slot.
    init(_ name: [UInt8], _ parser: LogPlanFragment.Parser, in texts: [ArraySlice<UInt8>]) {
        // Names that come about by joining or replacing, and escapes, are for those who read lines.
        guard !name.isEmpty, name.allSatisfy({ ByteSet.word.contains($0) }),
            !texts.contains(where: { $0.contains(0x5c) })
        else {
            self = .unknown
            return
        }
        self = parser == .json ? FieldPlace.json(name, texts) : FieldPlace.logfmt(name, texts)
    }

    private static func json(_ name: [UInt8], _ texts: [ArraySlice<UInt8>]) -> FieldPlace {
        guard texts[0].first == UInt8(ascii: "{"), texts.count > 1 else { return .unknown }
        let quoted = [UInt8(ascii: "\"")] + name + [UInt8(ascii: "\"")]
        var reader = ObjectReader()
        var found: Int?
        for (slot, text) in texts.enumerated() {
            guard reader.read(text, isLast: slot == texts.count - 1) else { return .unknown }
            let times = FieldPlace.occurrences(of: quoted, in: text)
            if times == 0 { continue }
            // Once, right before its value, and not within another object.
            guard times == 1, found == nil, reader.depth == 1, slot < texts.count - 1,
                FieldPlace.endsWithKey(quoted, text)
            else { return .unknown }
            found = slot
        }
        if let found { return reader.isNested && name.contains(UInt8(ascii: "_")) ? .unknown : .slot(found) }
        return name.contains(UInt8(ascii: "_")) || !reader.hasPlainKeys ? .unknown : .absent
    }

    /// Whether a text ends with `"name":`, and the quote of a text that begins perhaps.
    private static func endsWithKey(_ quoted: [UInt8], _ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        if rest.last == UInt8(ascii: "\"") { rest.removeLast() }
        while rest.last == UInt8(ascii: " ") { rest.removeLast() }
        guard rest.popLast() == UInt8(ascii: ":") else { return false }
        while rest.last == UInt8(ascii: " ") { rest.removeLast() }
        return rest.suffix(quoted.count).elementsEqual(quoted)
    }

    private static func logfmt(_ name: [UInt8], _ texts: [ArraySlice<UInt8>]) -> FieldPlace {
        let digits = name.contains { ByteSet.digits.contains($0) }
        let assigned = name + [UInt8(ascii: "=")]
        var found: Int?
        for (slot, text) in texts.enumerated() {
            let isLast = slot == texts.count - 1
            // Quotes stand around values and nowhere else.
            let opens = !isLast && text.last == UInt8(ascii: "\"")
            if opens, !text.dropLast().hasSuffix([UInt8(ascii: "=")]) { return .unknown }
            let closes = slot > 0 && text.first == UInt8(ascii: "\"")
            let quotes = text.count { $0 == UInt8(ascii: "\"") }
            guard quotes == (opens ? 1 : 0) + (closes ? 1 : 0), !text.contains(UInt8(ascii: "`")) else {
                return .unknown
            }
            let times = FieldPlace.occurrences(of: assigned, in: text)
            if times == 0 { continue }
            let end = text.dropLast(opens ? 1 : 0)
            let before = end.dropLast(assigned.count)
            guard times == 1, found == nil, !isLast, end.hasSuffix(assigned),
                before.isEmpty ? slot == 0 : before.last == UInt8(ascii: " ")
            else { return .unknown }
            found = slot
        }
        if let found { return .slot(found) }
        return digits || name.contains(UInt8(ascii: "_")) ? .unknown : .absent
    }

    private static func occurrences(of word: [UInt8], in text: ArraySlice<UInt8>) -> Int {
        text.withUnsafeBytes { bytes in
            var count = 0
            var from = 0
            while let hit = bytes.offset(of: word, from: from) {
                count += 1
                from = hit + 1
            }
            return count
        }
    }
}

/// Reads the static texts of a JSON object's template: keys are static, values may be slots.
private struct ObjectReader {
    /// How many objects are open.
    private(set) var depth = 0
    private(set) var isNested = false
    /// Whether no key begins or ends with a blank, which readers leave out.
    private(set) var hasPlainKeys = true
    private var isInText = false
    private var isKey = false
    /// The last byte outside of texts that is no blank.
    private var previous: UInt8 = 0
    private var keyBytes = 0

    /// Reads a static text; false when it is not what an object's template has.
    mutating func read(_ text: ArraySlice<UInt8>, isLast: Bool) -> Bool {
        var last: UInt8 = 0
        for byte in text {
            defer { last = byte }
            if isInText {
                if byte == UInt8(ascii: "\"") {
                    isInText = false
                    if isKey, last == UInt8(ascii: " ") { hasPlainKeys = false }
                    previous = byte
                } else if isKey {
                    if keyBytes == 0, byte == UInt8(ascii: " ") { hasPlainKeys = false }
                    keyBytes += 1
                }
                continue
            }
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): continue
            case UInt8(ascii: "\""):
                isInText = true
                isKey = previous == UInt8(ascii: "{") || previous == UInt8(ascii: ",")
                keyBytes = 0
                if !isKey, previous != UInt8(ascii: ":") { return false }
            case UInt8(ascii: "{"):
                depth += 1
                if depth > 1 { isNested = true }
                previous = byte
            case UInt8(ascii: "}"):
                depth -= 1
                previous = byte
            case UInt8(ascii: ":"), UInt8(ascii: ","): previous = byte
            // A value that is no slot: the tokenizer makes one of every value, so this is no object.
            default: return false
            }
        }
        if isLast { return depth == 0 && !isInText }
        // A slot is the content of a text that is a value, or a value without quotes.
        if isInText ? isKey : previous != UInt8(ascii: ":") { return false }
        if !isInText { previous = UInt8(ascii: "0") }
        return true
    }
}

extension ArraySlice<UInt8> {
    fileprivate func hasSuffix(_ end: [UInt8]) -> Bool { suffix(end.count).elementsEqual(end) }
}
