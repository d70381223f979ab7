internal import Telemetry

/// Writes the fields of a journal record: see docs/formats/alert-journal.md.
struct JournalWriter {
    private(set) var output = ByteWriter()

    var bytes: [UInt8] { output.bytes }

    mutating func put(_ text: String) { output.putString(text) }
    mutating func put(_ labels: Labels) { output.putPrefixed(labels.encoded) }
    mutating func put(_ value: Double) { output.putDouble(value) }
    mutating func put(_ flag: Bool) { output.put(flag ? 1 : 0) }
    mutating func put(_ value: Int64) { output.putSigned(value) }
    mutating func put(_ value: UInt64) { output.putVarint(value) }
    mutating func put(_ byte: UInt8) { output.put(byte) }
    mutating func put(_ bytes: [UInt8]) { output.putPrefixed(bytes) }

    /// A flag, and the value behind it where there is one.
    mutating func put(_ value: Int64?) {
        put(value != nil)
        if let value { put(value) }
    }

    /// Names with texts, ordered by name, so that equal maps are equal bytes.
    mutating func put(_ map: [String: String]) {
        output.putVarint(UInt64(map.count))
        for (name, text) in map.sorted(by: { $0.key < $1.key }) {
            put(name)
            put(text)
        }
    }

    mutating func put<Element>(_ elements: [Element], _ body: (inout JournalWriter, Element) -> Void) {
        output.putVarint(UInt64(elements.count))
        for element in elements { body(&self, element) }
    }
}

/// Reads what `JournalWriter` wrote; every count is bounded by the bytes that are there.
struct JournalReader {
    private var reader: ByteReader

    init(_ bytes: UnsafeRawBufferPointer) {
        reader = ByteReader(bytes)
    }

    var isAtEnd: Bool { reader.isAtEnd }

    mutating func text() throws(ByteError) -> String { try reader.string() }
    mutating func labels() throws(ByteError) -> Labels { try reader.labels() }
    mutating func double() throws(ByteError) -> Double { try reader.double() }
    mutating func flag() throws(ByteError) -> Bool { try reader.byte() != 0 }
    mutating func signed() throws(ByteError) -> Int64 { try reader.signed() }
    mutating func unsigned() throws(ByteError) -> UInt64 { try reader.varint() }
    mutating func byte() throws(ByteError) -> UInt8 { try reader.byte() }
    mutating func bytes() throws(ByteError) -> [UInt8] { Array(try reader.prefixed()) }

    mutating func optionalSigned() throws(ByteError) -> Int64? { try flag() ? try signed() : nil }

    mutating func map() throws(ByteError) -> [String: String] {
        var result: [String: String] = [:]
        for _ in 0..<(try reader.count(upTo: reader.remaining, "number of pairs")) {
            let name = try text()
            result[name] = try text()
        }
        return result
    }

    mutating func list<Element>(
        _ body: (inout JournalReader) throws(ByteError) -> Element
    ) throws(ByteError) -> [Element] {
        var result: [Element] = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "number of elements")) {
            result.append(try body(&self))
        }
        return result
    }

    /// One of an enumeration's cases by its text.
    mutating func choice<Value: RawRepresentable>(
        _ type: Value.Type = Value.self
    ) throws(ByteError) -> Value where Value.RawValue == String {
        let offset = reader.offset
        let text = try text()
        guard let value = Value(rawValue: text) else {
            throw ByteError(offset: offset, reason: "\"\(text)\" is no \(Value.self)")
        }
        return value
    }
}
