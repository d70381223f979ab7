internal import Telemetry

/// Reads the labels of a stream as Loki's protobuf carries them: `{job="a", pod="b-1"}`, values in Go's notation.
enum LokiLabelsText {
    /// Throws `ByteError` with the place within the text.
    static func parse(_ text: UnsafeRawBufferPointer) throws(ByteError) -> Labels {
        var scanner = Scanner(text: text)
        return try scanner.labels()
    }

    private struct Scanner {
        let text: UnsafeRawBufferPointer
        var position = 0
        var builder = LabelsBuilder()

        init(text: UnsafeRawBufferPointer) {
            self.text = text
        }

        mutating func labels() throws(ByteError) -> Labels {
            try expect(UInt8(ascii: "{"))
            skipSpace()
            while text[at: position] != UInt8(ascii: "}") {
                let name = try name()
                try expect(UInt8(ascii: "="))
                let value = try value()
                guard UTF8Text.isValid(UnsafeRawBufferPointer(rebasing: text[name])), let value else {
                    throw failure("a label that is not UTF-8")
                }
                builder.add(String(decoding: text[name], as: UTF8.self), value)
                skipSpace()
                if text[at: position] == UInt8(ascii: ",") {
                    position += 1
                    skipSpace()
                } else if text[at: position] != UInt8(ascii: "}") {
                    throw failure("labels without `,` or `}`")
                }
            }
            position += 1
            skipSpace()
            guard position == text.count else { throw failure("text behind the labels") }
            guard let labels = builder.buildWithoutRepetition() else { throw failure("a label is there twice") }
            return labels
        }

        /// Whether it is a good name is asked later, with Loki's words for it.
        private mutating func name() throws(ByteError) -> Range<Int> {
            let start = position
            while let byte = text[at: position], byte != UInt8(ascii: "="), byte != UInt8(ascii: " ") { position += 1 }
            guard position > start else { throw failure("a label without a name") }
            return start..<position
        }

        /// Nil when it is not UTF-8.
        private mutating func value() throws(ByteError) -> String? {
            skipSpace()
            let quote = text[at: position]
            guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "`") else {
                throw failure("a value in no quotes")
            }
            position += 1
            var bytes: [UInt8] = []
            while let byte = text[at: position], byte != quote {
                position += 1
                if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "`") {
                    try escape(into: &bytes)
                } else {
                    bytes.append(byte)
                }
            }
            guard text[at: position] != nil else { throw failure("a value without its closing quote") }
            position += 1
            return String(validating: bytes, as: UTF8.self)
        }

        /// strconv.Unquote's escapes.
        private mutating func escape(into bytes: inout [UInt8]) throws(ByteError) {
            guard let kind = text[at: position] else { throw failure("an escape at the end") }
            position += 1
            switch kind {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): bytes.append(kind)
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "a"): bytes.append(0x07)
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0c)
            case UInt8(ascii: "v"): bytes.append(0x0b)
            case UInt8(ascii: "x"): bytes.append(UInt8(truncatingIfNeeded: try digits(2, radix: 16)))
            case UInt8(ascii: "u"): try scalar(digits(4, radix: 16), into: &bytes)
            case UInt8(ascii: "U"): try scalar(digits(8, radix: 16), into: &bytes)
            case UInt8(ascii: "0")...UInt8(ascii: "3"):
                position -= 1
                bytes.append(UInt8(truncatingIfNeeded: try digits(3, radix: 8)))
            default: throw failure("an unknown escape")
            }
        }

        private mutating func digits(_ count: Int, radix: Int) throws(ByteError) -> UInt32 {
            guard position + count <= text.count,
                let value = UInt32(String(decoding: text[position..<position + count], as: UTF8.self), radix: radix)
            else { throw failure("an escape without its digits") }
            position += count
            return value
        }

        private func scalar(_ value: UInt32, into bytes: inout [UInt8]) throws(ByteError) {
            guard let scalar = Unicode.Scalar(value) else { throw failure("an escape of no character") }
            bytes.append(contentsOf: String(Character(scalar)).utf8)
        }

        private mutating func expect(_ byte: UInt8) throws(ByteError) {
            skipSpace()
            guard text[at: position] == byte else {
                throw failure("`\(Character(Unicode.Scalar(byte)))` is missing")
            }
            position += 1
            skipSpace()
        }

        private mutating func skipSpace() {
            while text[at: position] == UInt8(ascii: " ") { position += 1 }
        }

        private func failure(_ reason: String) -> ByteError {
            ByteError(offset: position, reason: "stream labels: \(reason)")
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The byte at `position`, nil behind the end.
    fileprivate subscript(at position: Int) -> UInt8? { position < count ? self[position] : nil }
}
