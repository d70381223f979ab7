/// Writes JSON piece by piece into a `ByteWriter`: no tree, no white space, separators by itself.
///
/// The caller keeps the order right (a key before each value of an object); a debug build checks that what was begun
/// was ended. Text that is not UTF-8 is written with U+FFFD in place of what is wrong, as Go does.
package struct JSONWriter: Sendable {
    /// What was written so far, behind what the writer was given.
    package internal(set) var output: ByteWriter
    var needsComma = false
    private var depth = 0
    /// Times that were written last, for the series behind.
    var writtenTimes = WrittenTimes()

    /// Writes behind what `output` holds already.
    package init(_ output: ByteWriter = ByteWriter()) {
        self.output = output
    }

    /// What was written.
    package var bytes: [UInt8] {
        assert(depth == 0, "\(depth) objects or arrays were begun and not ended")
        return output.bytes
    }

    /// What was written so far, for a body that is sent in pieces; the writer goes on empty.
    package mutating func takePiece() -> [UInt8] {
        let piece = output.bytes
        output = ByteWriter(capacity: piece.count)
        return piece
    }

    /// Opens an object.
    package mutating func beginObject() { begin("{") }
    /// Closes the innermost object.
    package mutating func endObject() { end("}") }
    /// Opens an array.
    package mutating func beginArray() { begin("[") }
    /// Closes the innermost array.
    package mutating func endArray() { end("]") }

    /// Writes a key; its value comes next.
    package mutating func key(_ name: String) {
        string(name)
        output.put(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a string.
    package mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    /// Writes bytes as a string; what is not UTF-8 in them becomes U+FFFD.
    package mutating func string(_ bytes: UnsafeRawBufferPointer) {
        separate()
        output.put(UInt8(ascii: "\""))
        if JSONWriter.isPlain(bytes) {
            output.put(bytes)
        } else {
            escape(bytes)
        }
        output.put(UInt8(ascii: "\""))
    }

    /// Writes bytes as a string; what is not UTF-8 in them becomes U+FFFD.
    package mutating func string(_ bytes: ArraySlice<UInt8>) { bytes.withUnsafeBytes { string($0) } }

    /// Writes a whole number.
    package mutating func integer(_ value: some BinaryInteger) {
        separate()
        put(String(value))
    }

    /// Writes a number; JSON has none for infinities and NaN, they become strings ("+Inf", "-Inf", "NaN").
    package mutating func number(_ value: Double) {
        guard value.isFinite else { return string(FloatText.plain(value)) }
        separate()
        output.withBuffer { FloatText.appendAnswer(value, to: &$0) }
    }

    /// Writes a sample's value as Prometheus' API does: a number within a string.
    package mutating func sampleValue(_ value: Double) {
        separate()
        output.withBuffer { buffer in
            buffer.append(UInt8(ascii: "\""))
            FloatText.appendAnswer(value, to: &buffer)
            buffer.append(UInt8(ascii: "\""))
        }
    }

    /// Writes a time as Prometheus' API does: seconds, with three decimals only where they are not zero.
    package mutating func sampleTime(milliseconds: Int64) {
        separate()
        output.withBuffer { Timestamps.appendSeconds(milliseconds: milliseconds, to: &$0) }
    }

    /// Writes true or false.
    package mutating func boolean(_ value: Bool) {
        separate()
        put(value ? "true" : "false")
    }

    /// Writes null.
    package mutating func null() {
        separate()
        put("null")
    }

    /// Writes text that is one whole JSON value already.
    package mutating func raw(_ json: [UInt8]) {
        separate()
        output.put(json)
    }

    /// Writes a tree.
    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .boolean(let truth): boolean(truth)
        case .integer(let whole): integer(whole)
        case .number(let number): self.number(number)
        case .string(let text): string(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                key(member.key)
                self.value(member.value)
            }
            endObject()
        }
    }

    /// Writes labels as an object of strings.
    package mutating func labels(_ labels: Labels) {
        if putPlain(labels) { return }
        beginObject()
        labels.forEachPair { name, value in
            string(name)
            output.put(UInt8(ascii: ":"))
            needsComma = false
            string(value)
        }
        endObject()
    }

    /// Writes a member whose value is a string.
    package mutating func member(_ name: String, _ text: String) {
        key(name)
        string(text)
    }

    /// Writes a member whose value is a whole number.
    package mutating func member(_ name: String, _ value: some BinaryInteger) {
        key(name)
        integer(value)
    }

    /// Writes a member whose value is true or false.
    package mutating func member(_ name: String, _ truth: Bool) {
        key(name)
        boolean(truth)
    }
}

extension JSONWriter {
    private mutating func begin(_ bracket: Unicode.Scalar) {
        separate()
        output.put(UInt8(ascii: bracket))
        needsComma = false
        depth += 1
    }

    private mutating func end(_ bracket: Unicode.Scalar) {
        output.put(UInt8(ascii: bracket))
        needsComma = true
        depth -= 1
    }

    mutating func separate() {
        if needsComma { output.put(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { output.put(UnsafeRawBufferPointer($0)) }
    }

    /// Whether nothing needs an escape and no byte needs to be checked as UTF-8.
    static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // Eight bytes at a time: a borrow into the highest bit of a byte that did not have it tells of a smaller one.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs = ones << 7
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let slashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let below = (word &- ones &* 0x20) & ~word
            let same = ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes)
            guard (word | below | same) & highs == 0 else { return false }
            offset += 8
        }
        return bytes[offset...].allSatisfy {
            $0 >= 0x20 && $0 < 0x80 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
    }

    private mutating func escape(_ bytes: UnsafeRawBufferPointer) {
        var text = String(decoding: bytes, as: UTF8.self)
        text.withUTF8 { utf8 in
            for byte in utf8 {
                switch byte {
                case UInt8(ascii: "\""): put("\\\"")
                case UInt8(ascii: "\\"): put("\\\\")
                case 0x0a: put("\\n")
                case 0x0d: put("\\r")
                case 0x09: put("\\t")
                case 0..<0x20, 0x7f:
                    put("\\u00")
                    output.put(Hexadecimal.digit(byte >> 4))
                    output.put(Hexadecimal.digit(byte & 0x0f))
                default: output.put(byte)
                }
            }
        }
    }
}
