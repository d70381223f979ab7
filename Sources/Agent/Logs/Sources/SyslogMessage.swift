internal import Telemetry

/// One syslog message, of RFC 5424 or as programs have always written it (RFC 3164). Pure.
struct SyslogMessage: Equatable {
    /// 0 to 23 (RFC 5424, 6.2.1).
    var facility = 1
    /// 0 (emergency) to 7 (debug).
    var severity = 5
    /// Nil when the message has none that is understood; a time without a year or zone counts as none.
    var nanoseconds: Int64?
    var host = ""
    var application = ""
    var process = ""
    /// What is to be stored: the text, behind its structured data where there is any.
    var text: [UInt8]

    /// Names of severities by number, as log levels.
    static let levels = ["fatal", "fatal", "critical", "error", "warn", "info", "info", "debug"]
    /// Names of facilities by number.
    static let facilities = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
        "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ]
    private static let wordBytesMaximum = 255

    /// Reads a message; what is none is kept as a text without a header.
    init(_ bytes: UnsafeRawBufferPointer) {
        var bytes = bytes
        while let last = bytes.last, last == 0 || last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") {
            bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast())
        }
        text = []
        var rest = bytes[...]
        guard let priority = Self.priority(&rest) else {
            text = Array(bytes)
            return
        }
        (facility, severity) = (priority >> 3, priority & 7)
        if rest.starts(with: "1 ".utf8) {
            rest = rest.dropFirst(2)
            readStructured(&rest)
        } else {
            readTraditional(&rest)
        }
    }

    /// `<34>`.
    private static func priority(_ rest: inout Slice<UnsafeRawBufferPointer>) -> Int? {
        guard rest.first == UInt8(ascii: "<"), let end = rest.prefix(5).firstIndex(of: UInt8(ascii: ">")),
            let value = Int(String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self)), value < 192,
            value >= 0
        else { return nil }
        rest = rest[(end + 1)...]
        return value
    }

    private static func word(_ rest: inout Slice<UnsafeRawBufferPointer>) -> String {
        let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
        let word = rest[..<end].prefix(wordBytesMaximum)
        rest = rest[min(end + 1, rest.endIndex)...]
        let text = String(decoding: word, as: UTF8.self)
        return text == "-" ? "" : text
    }

    /// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`.
    private mutating func readStructured(_ rest: inout Slice<UnsafeRawBufferPointer>) {
        nanoseconds = Timestamps.nanoseconds(rfc3339: Self.word(&rest))
        host = Self.word(&rest)
        application = Self.word(&rest)
        process = Self.word(&rest)
        _ = Self.word(&rest)
        // Structured data stays in front of the text, where queries can read it; `-` says that there is none.
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst(rest.count > 1 ? 2 : 1) }
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        text = Array(rest.starts(with: mark) ? rest.dropFirst(3) : rest)
    }

    /// `Jan  2 03:04:05 host app[123]: text`, of which programs leave out what they like.
    private mutating func readTraditional(_ rest: inout Slice<UnsafeRawBufferPointer>) {
        if rest.count > 15, Self.isTraditionalTime(rest.prefix(15)), rest[rest.startIndex + 15] == UInt8(ascii: " ") {
            rest = rest.dropFirst(16)
            // Local programs leave the host out; a tag ends with a colon or has brackets.
            let first = rest.prefix { $0 != UInt8(ascii: " ") }
            if !first.contains(UInt8(ascii: ":")), !first.contains(UInt8(ascii: "[")) { host = Self.word(&rest) }
        } else if let end = rest.prefix(40).firstIndex(of: UInt8(ascii: " ")),
            let time = Timestamps.nanoseconds(rfc3339: UnsafeRawBufferPointer(rebasing: rest[..<end]))
        {
            // rsyslog's high-precision form of the same.
            nanoseconds = time
            rest = rest[(end + 1)...]
            host = Self.word(&rest)
        }
        readTag(&rest)
        text = Array(rest)
    }

    private mutating func readTag(_ rest: inout Slice<UnsafeRawBufferPointer>) {
        let tag = rest.prefix(64).prefix { byte in
            byte != UInt8(ascii: ":") && byte != UInt8(ascii: " ") && byte != UInt8(ascii: "[")
        }
        guard !tag.isEmpty, tag.endIndex < rest.endIndex else { return }
        var behind = rest[tag.endIndex...]
        var process = ""
        if behind.first == UInt8(ascii: "[") {
            guard let close = behind.prefix(32).firstIndex(of: UInt8(ascii: "]")) else { return }
            process = String(decoding: behind[(behind.startIndex + 1)..<close], as: UTF8.self)
            behind = behind[(close + 1)...]
        }
        guard behind.first == UInt8(ascii: ":") else { return }
        behind = behind.dropFirst()
        if behind.first == UInt8(ascii: " ") { behind = behind.dropFirst() }
        application = String(decoding: tag, as: UTF8.self)
        self.process = process
        rest = behind
    }

    private static func isTraditionalTime(_ text: Slice<UnsafeRawBufferPointer>) -> Bool {
        let bytes = Array(text)
        return bytes[3] == UInt8(ascii: " ") && bytes[6] == UInt8(ascii: " ") && bytes[9] == UInt8(ascii: ":")
            && bytes[12] == UInt8(ascii: ":")
    }
}

/// Cuts a stream of bytes into syslog messages (RFC 6587): each in front of its length, or each on a line of its own,
/// where a zero byte ends a line, too (libc's `syslog` writes one over streams); what comes first decides, message by
/// message. Pure.
struct SyslogFraming {
    private var pending: [UInt8] = []
    /// Bytes of a message that is too long, and are passed over.
    private var skip = 0
    private var isSkippingLine = false
    /// Messages that were cut because they are longer than is allowed.
    private(set) var cut: UInt64 = 0

    /// A longer message is cut.
    static let messageBytesMaximum = 64 << 10

    /// Nothing read yet.
    init() {}

    /// Takes what came and hands over whole messages.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        pending.append(contentsOf: bytes)
        var start = 0
        pending.withUnsafeBytes { raw in
            while start < raw.count {
                guard let end = next(raw, from: start, body) else { break }
                start = end
            }
        }
        pending.removeFirst(min(start, pending.count))
    }

    /// The connection ended: what is left is a message without its end.
    mutating func finish(_ body: (UnsafeRawBufferPointer) -> Void) {
        if !pending.isEmpty, skip == 0, !isSkippingLine { pending.withUnsafeBytes { body($0) } }
        pending = []
    }

    /// Reads one message; returns where the next one begins, nil when more must come first.
    private mutating func next(
        _ raw: UnsafeRawBufferPointer, from start: Int, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Int? {
        if skip > 0 {
            let count = min(skip, raw.count - start)
            skip -= count
            return start + count
        }
        if let (length, text) = counted(raw, from: start), !isSkippingLine {
            guard let length else { return nil }
            let taken = min(length, Self.messageBytesMaximum)
            guard raw.count - text >= taken else { return nil }
            body(UnsafeRawBufferPointer(rebasing: raw[text..<(text + taken)]))
            skip = length - taken
            if skip > 0 { cut += 1 }
            return text + taken
        }
        let newline = raw.offset(of: UInt8(ascii: "\n"), from: start)
        let line = UnsafeRawBufferPointer(rebasing: raw[..<(newline ?? raw.count)])
        guard let end = line.offset(of: 0, from: start) ?? newline else {
            guard raw.count - start >= Self.messageBytesMaximum else { return nil }
            if !isSkippingLine { body(UnsafeRawBufferPointer(rebasing: raw[start...])) }
            if !isSkippingLine { cut += 1 }
            isSkippingLine = true
            return raw.count
        }
        if end > start, !isSkippingLine { body(UnsafeRawBufferPointer(rebasing: raw[start..<end])) }
        isSkippingLine = false
        return end + 1
    }

    /// The length in front of a message and where the message begins; the length is nil while its digits may go on. Nil
    /// when there is no length: a message on a line begins with `<`.
    private func counted(_ raw: UnsafeRawBufferPointer, from start: Int) -> (length: Int?, text: Int)? {
        var length = 0
        var index = start
        while index < raw.count, index - start < 8 {
            let byte = raw[index]
            if byte == UInt8(ascii: " "), index > start { return (length, index + 1) }
            guard (0x30...0x39).contains(byte), length > 0 || byte != UInt8(ascii: "0") else { return nil }
            length = length * 10 + Int(byte - 0x30)
            index += 1
        }
        return index - start < 8 && index > start ? (nil, start) : nil
    }
}
