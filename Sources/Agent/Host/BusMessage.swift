/// A message of D-Bus in little-endian (the D-Bus specification, "Message Protocol"): as much of it as is needed to
/// call a method without arguments and to walk through an answer. Pure.
struct BusMessage {
    /// What kind of message it is; the raw values are those of the wire.
    enum Kind: UInt8 {
        case call = 1
        case answer = 2
        case error = 3
        case signal = 4
    }

    /// A call of `member` with `texts` for arguments, as bytes. `serial` is at least 1.
    static func call(
        destination: String, path: String, interface: String, member: String, serial: UInt32, texts: [String] = []
    ) -> [UInt8] {
        var fields: [UInt8] = []
        var all: [(code: UInt8, signature: UInt8, text: String)] = [
            (1, UInt8(ascii: "o"), path), (2, UInt8(ascii: "s"), interface), (3, UInt8(ascii: "s"), member),
            (6, UInt8(ascii: "s"), destination),
        ]
        let signature = String(repeating: "s", count: texts.count)
        if !texts.isEmpty { all.append((8, UInt8(ascii: "g"), signature)) }
        for field in all {
            pad(&fields, to: 8)
            // The code, then a variant: its signature and its value.
            fields += [field.code, 1, field.signature, 0]
            if field.signature == UInt8(ascii: "g") {
                fields.append(UInt8(field.text.utf8.count))
            } else {
                put(UInt32(field.text.utf8.count), &fields)
            }
            fields += Array(field.text.utf8) + [0]
        }
        var body: [UInt8] = []
        for text in texts {
            pad(&body, to: 4)
            put(UInt32(text.utf8.count), &body)
            body += Array(text.utf8) + [0]
        }
        var message: [UInt8] = [UInt8(ascii: "l"), Kind.call.rawValue, 0, 1]
        put(UInt32(body.count), &message)
        put(serial, &message)
        put(UInt32(fields.count), &message)
        message += fields
        pad(&message, to: 8)
        return message + body
    }

    /// The size of a whole message by its first sixteen bytes; nil when they begin none that is understood.
    static func size(_ head: ArraySlice<UInt8>) -> Int? {
        let reader = BusReader(head)
        guard head.count >= 16, head.first == UInt8(ascii: "l"), let body = reader.word(at: 4),
            let fields = reader.word(at: 12), body < 64 << 20, fields < 1 << 20
        else { return nil }
        return 16 + (Int(fields) + 7) / 8 * 8 + Int(body)
    }

    let kind: Kind
    /// The serial of the call that is answered; 0 for none.
    let answers: UInt32
    let body: ArraySlice<UInt8>

    /// Reads a whole message; nil when it is none.
    init?(_ bytes: ArraySlice<UInt8>) {
        var reader = BusReader(bytes)
        guard let size = Self.size(bytes), bytes.count == size, let kind = Kind(rawValue: bytes[bytes.startIndex + 1]),
            let fields = reader.word(at: 12)
        else { return nil }
        self.kind = kind
        let bodyStart = bytes.startIndex + 16 + (Int(fields) + 7) / 8 * 8
        body = bytes[bodyStart...]
        var answers: UInt32 = 0
        reader.offset = 16
        while reader.offset < 16 + Int(fields) {
            reader.align(8)
            guard let code = reader.byte(), let signature = reader.signature() else { return nil }
            switch signature {
            case "u":
                guard let value = reader.word() else { return nil }
                if code == 5 { answers = value }
            case "s", "o": guard reader.text() != nil else { return nil }
            case "g": guard reader.signature() != nil else { return nil }
            default: return nil
            }
        }
        self.answers = answers
    }

    private static func pad(_ bytes: inout [UInt8], to boundary: Int) {
        while bytes.count % boundary != 0 { bytes.append(0) }
    }

    private static func put(_ value: UInt32, _ bytes: inout [UInt8]) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
}

/// Walks through the values of a message; offsets, and with them alignment, count from the start of what it is given.
struct BusReader {
    /// A simple value.
    enum Value: Equatable {
        case text(String)
        case number(UInt64)
    }

    private let bytes: ArraySlice<UInt8>
    var offset = 0

    /// Reads `bytes`, which begin at a boundary of eight.
    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// Goes on to the next multiple of `boundary`.
    mutating func align(_ boundary: Int) { offset = (offset + boundary - 1) / boundary * boundary }

    /// The next byte; nil at the end.
    mutating func byte() -> UInt8? {
        guard offset < bytes.count else { return nil }
        defer { offset += 1 }
        return bytes[bytes.startIndex + offset]
    }

    /// The 32 bits at a place.
    func word(at place: Int) -> UInt32? {
        guard place >= 0, place + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[bytes.startIndex + place + index]) << UInt32(8 * index) }
        return value
    }

    /// The next number of 32 bits.
    mutating func word() -> UInt32? {
        align(4)
        guard let value = word(at: offset) else { return nil }
        offset += 4
        return value
    }

    /// The next text or object path.
    mutating func text() -> String? {
        guard let count = word(), count <= bytes.count, offset + Int(count) + 1 <= bytes.count else { return nil }
        let start = bytes.startIndex + offset
        defer { offset += Int(count) + 1 }
        return String(decoding: bytes[start..<(start + Int(count))], as: UTF8.self)
    }

    /// The next variant that holds a text or a number; nil for any other.
    mutating func variant() -> Value? {
        switch signature() {
        case "s", "o": return text().map { .text($0) }
        case "u", "i": return word().map { .number(UInt64($0)) }
        case "t", "x":
            align(8)
            guard let low = word(), let high = word() else { return nil }
            return .number(UInt64(high) << 32 | UInt64(low))
        default: return nil
        }
    }

    /// The next signature.
    mutating func signature() -> String? {
        guard let count = byte(), offset + Int(count) + 1 <= bytes.count else { return nil }
        let start = bytes.startIndex + offset
        defer { offset += Int(count) + 1 }
        return String(decoding: bytes[start..<(start + Int(count))], as: UTF8.self)
    }
}
