/// A JSON value as a tree, for things of the size of a configuration. Streams of records use `JSONScanner`.
package indirect enum JSONValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    /// A number written as a whole one that fits 64 bits.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// One member of an object, in the order of the text.
    package struct Member: Sendable, Equatable {
        package var key: String
        package var value: JSONValue

        /// A member.
        package init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// Parses all of `bytes`; throws where it is not one JSON value.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var scanner = JSONScanner(bytes)
        self = try JSONValue(from: &scanner)
        try scanner.finish()
    }

    /// Parses all of `bytes`.
    package init(parsing bytes: [UInt8]) throws(ByteError) {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(ByteError) in try JSONValue(parsing: raw) }
        }
        self = try result.get()
    }

    /// Parses all of `text`.
    package init(parsing text: String) throws(ByteError) { try self.init(parsing: Array(text.utf8)) }

    /// Reads the scanner's next value. Nesting is bounded by the scanner.
    package init(from scanner: inout JSONScanner) throws(ByteError) {
        switch try scanner.peek() {
        case .null:
            _ = try scanner.skipNull()
            self = .null
        case .boolean: self = .boolean(try scanner.boolean())
        case .string: self = .string(try scanner.string().string)
        case .number:
            let start = scanner.offset
            let text = try scanner.number()
            // -0 is a double's zero, no integer's.
            if let whole = IntegerText.parse(text), whole != 0 || text.first != UInt8(ascii: "-") {
                self = .integer(whole)
            } else if let value = FloatText.parse(text) {
                self = .number(value)
            } else {
                throw ByteError(offset: start, reason: "number is out of range")
            }
        case .array:
            var elements: [JSONValue] = []
            try scanner.enterArray()
            while try scanner.nextElement() { elements.append(try JSONValue(from: &scanner)) }
            self = .array(elements)
        case .object:
            var members: [Member] = []
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                members.append(Member(key.string, try JSONValue(from: &scanner)))
            }
            self = .object(members)
        }
    }

    /// The value of `key`, nil when this is no object or has no such member. Of repeated keys the last one counts.
    package subscript(key: String) -> JSONValue? { members?.last { $0.key == key }?.value }

    /// The element at `index`, nil when this is no array or is shorter.
    package subscript(index: Int) -> JSONValue? {
        guard let elements, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The text of a string, nil for another value.
    package var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of a number without a fraction that fits 64 bits, nil for another value.
    package var wholeNumber: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The value of a number, nil for another value.
    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The truth of a boolean, nil for another value.
    package var truth: Bool? {
        guard case .boolean(let truth) = self else { return nil }
        return truth
    }

    /// The elements of an array, nil for another value.
    package var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The members of an object in the order of the text, nil for another value.
    package var members: [Member]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// The value as compact JSON.
    package var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}
