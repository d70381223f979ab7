/// The identity of a series or a log stream: a sorted set of names with values, kept as one run of bytes.
///
/// Shape: for each pair, ordered by the bytes of the name: varint name length, name, varint value length, value. Names
/// are unique and not empty; an empty value is the same as an absent label (Prometheus' data model) and is never kept,
/// but in structured metadata and in what LogQL's stages make, where Loki tells the two apart.
/// Equality and hashing are one comparison of bytes, so labels are cheap dictionary keys.
public struct Labels: Hashable, Sendable {
    /// The canonical encoding described above.
    public let encoded: [UInt8]

    /// No labels.
    public static let empty = Labels(canonical: [])

    /// Adopts bytes known to be canonical, for example read back from a checked page.
    @inlinable
    public init(canonical encoded: [UInt8]) {
        self.encoded = encoded
    }

    /// Validates bytes from outside: complete pairs, valid UTF-8, names not empty and strictly rising, values not
    /// empty. Returns nil when any of this does not hold.
    public init?(validating bytes: some Collection<UInt8>) {
        self.init(validating: bytes, allowsEmptyValues: false)
    }

    /// Validates bytes from outside; structured metadata may have empty values.
    package init?(validating bytes: some Collection<UInt8>, allowsEmptyValues: Bool) {
        let encoded = Array(bytes)
        let isCanonical = encoded.withUnsafeBytes { Labels.isCanonical($0, allowsEmptyValues: allowsEmptyValues) }
        guard isCanonical else { return nil }
        self.encoded = encoded
    }

    /// Builds labels from pairs in any order. Of repeated names the last one counts; empty values are dropped.
    public init(_ pairs: some Sequence<(name: String, value: String)>) {
        var builder = LabelsBuilder()
        for pair in pairs { builder.add(pair.name, pair.value) }
        self = builder.build()
    }

    /// Builds structured metadata from pairs in any order: as labels, but empty values are kept.
    package init(keepingEmptyValues pairs: some Sequence<(name: String, value: String)>) {
        var builder = LabelsBuilder()
        for pair in pairs { builder.add(pair.name, pair.value) }
        self = builder.buildKeepingEmptyValues()
    }

    /// Builds labels from a dictionary; empty values are dropped.
    public init(_ dictionary: [String: String]) {
        var builder = LabelsBuilder()
        for (name, value) in dictionary { builder.add(name, value) }
        self = builder.build()
    }

    /// Hashes the bytes in one piece; the hash that arrays have takes them one by one.
    public func hash(into hasher: inout Hasher) {
        encoded.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    /// Whether there are no labels.
    @inlinable public var isEmpty: Bool { encoded.isEmpty }

    /// The number of labels.
    public var count: Int {
        var total = 0
        forEachPair { _, _ in total += 1 }
        return total
    }

    /// The value of `name`, nil when absent.
    public subscript(name: String) -> String? {
        var name = name
        return name.withUTF8 { wanted in
            encoded.withUnsafeBytes { raw in
                var cursor = PairCursor(raw)
                while let (key, value) = cursor.next() {
                    guard key.isSame(as: UnsafeRawBufferPointer(wanted)) else { continue }
                    return String(decoding: value, as: UTF8.self)
                }
                return nil
            }
        }
    }

    /// The metric name (`__name__`), nil when absent.
    public var metricName: String? { self[Labels.metricNameLabel] }

    /// The label that holds a metric's name.
    public static let metricNameLabel = "__name__"

    /// All pairs, ordered by name.
    public var pairs: [(name: String, value: String)] {
        var all: [(name: String, value: String)] = []
        forEachPair { all.append((String(decoding: $0, as: UTF8.self), String(decoding: $1, as: UTF8.self))) }
        return all
    }

    /// Calls `body` with the bytes of each name and value, in order. The buffers live only during the call.
    public func forEachPair(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void) rethrows {
        try encoded.withUnsafeBytes { raw in
            var cursor = PairCursor(raw)
            while let (name, value) = cursor.next() { try body(name, value) }
        }
    }

    /// These labels with `name` set to `value`, or without it where `value` is nil or empty.
    public func setting(_ name: String, to value: String?) -> Labels {
        var name = name
        var value = value ?? ""
        var writer = ByteWriter(capacity: encoded.count + name.utf8.count + value.utf8.count + 4)
        name.withUTF8 { wanted in
            var isWritten = value.isEmpty || wanted.isEmpty
            forEachPair { key, text in
                if !isWritten, !key.lexicographicallyPrecedes(wanted) {
                    isWritten = true
                    writer.putPrefixed(UnsafeRawBufferPointer(wanted))
                    value.withUTF8 { writer.putPrefixed(UnsafeRawBufferPointer($0)) }
                }
                if key.isSame(as: UnsafeRawBufferPointer(wanted)) { return }
                writer.putPrefixed(key)
                writer.putPrefixed(text)
            }
            if !isWritten {
                writer.putPrefixed(UnsafeRawBufferPointer(wanted))
                value.withUTF8 { writer.putPrefixed(UnsafeRawBufferPointer($0)) }
            }
        }
        return Labels(canonical: writer.bytes)
    }

    /// Only the labels whose names are in `names`.
    public func keeping(_ names: Set<String>) -> Labels { filtered { names.contains($0) } }

    /// All labels but those whose names are in `names`.
    public func dropping(_ names: Set<String>) -> Labels { filtered { !names.contains($0) } }

    private func filtered(_ isKept: (String) -> Bool) -> Labels {
        var writer = ByteWriter()
        forEachPair { name, value in
            guard isKept(String(decoding: name, as: UTF8.self)) else { return }
            writer.putVarint(UInt64(name.count))
            writer.put(name)
            writer.putVarint(UInt64(value.count))
            writer.put(value)
        }
        return Labels(canonical: writer.bytes)
    }
}

extension Labels: Comparable {
    /// Orders by pairs: name, then value, then number of labels, as Prometheus sorts its answers.
    public static func < (left: Labels, right: Labels) -> Bool {
        left.encoded.withUnsafeBytes { left in
            right.encoded.withUnsafeBytes { right in
                let differs = sharedCount(left, right)
                // What is the beginning of the other has fewer pairs.
                guard differs < min(left.count, right.count) else { return left.count < right.count }
                // The fields in front of that byte are the same; the one it lies in decides.
                var a = PairCursor(left)
                var b = PairCursor(right)
                a.skipFields(endingBy: differs)
                b.skipFields(endingBy: differs)
                guard let fieldA = a.field(), let fieldB = b.field() else { return false }
                return fieldA.lexicographicallyPrecedes(fieldB)
            }
        }
    }

    /// How many bytes from the first on are the same.
    private static func sharedCount(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let count = min(left.count, right.count)
        var offset = 0
        while offset + 8 <= count {
            let a = left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if a != b { return offset + (UInt64(littleEndian: a) ^ UInt64(littleEndian: b)).trailingZeroBitCount / 8 }
            offset += 8
        }
        while offset < count, left[offset] == right[offset] { offset += 1 }
        return offset
    }
}

extension Labels: CustomStringConvertible {
    /// The notation of PromQL: `name{label="value"}`, values escaped.
    public var description: String {
        var body: [String] = []
        var name = ""
        for pair in pairs {
            if pair.name == Labels.metricNameLabel {
                name = pair.value
            } else {
                body.append("\(pair.name)=\(QuotedText.quoted(pair.value))")
            }
        }
        if body.isEmpty && !name.isEmpty { return name }
        return "\(name){\(body.joined(separator: ", "))}"
    }
}

extension Labels {
    /// Walks the pairs of an encoding. Stops early at bytes that are not complete.
    struct PairCursor {
        private let bytes: UnsafeRawBufferPointer
        private var offset = 0

        init(_ bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
        }

        mutating func next() -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer)? {
            guard let name = field(), let value = field() else { return nil }
            return (name, value)
        }

        var isAtEnd: Bool { offset == bytes.count }

        /// Passes over the fields that end at or before a byte.
        mutating func skipFields(endingBy limit: Int) {
            while true {
                let start = offset
                guard field() != nil, offset <= limit else {
                    offset = start
                    return
                }
            }
        }

        mutating func field() -> UnsafeRawBufferPointer? {
            var length = 0
            var shift = 0
            while offset < bytes.count {
                let byte = bytes[offset]
                offset += 1
                length |= Int(byte & 0x7f) << shift
                if byte < 0x80 {
                    // A longer form of the same length would be other bytes for the same labels.
                    if byte == 0 && shift > 0 { return nil }
                    guard length >= 0, length <= bytes.count - offset else { return nil }
                    defer { offset += length }
                    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
                }
                shift += 7
                if shift > 28 { return nil }
            }
            return nil
        }
    }

    private static func isCanonical(_ raw: UnsafeRawBufferPointer, allowsEmptyValues: Bool) -> Bool {
        var cursor = PairCursor(raw)
        var previous: UnsafeRawBufferPointer?
        while !cursor.isAtEnd {
            guard let (name, value) = cursor.next(), !name.isEmpty, allowsEmptyValues || !value.isEmpty else {
                return false
            }
            if let previous, !previous.lexicographicallyPrecedes(name) { return false }
            guard UTF8Text.isValid(name), UTF8Text.isValid(value) else { return false }
            previous = name
        }
        return true
    }
}
