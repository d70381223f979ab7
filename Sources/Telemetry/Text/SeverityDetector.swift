internal import Glibc

/// Finds the severity of a log line: a level field of JSON or logfmt, else a level word in its first bytes.
///
/// Differs from Loki's detector on purpose in one point: a word counts only as a whole word and the first one in the
/// line wins, so "0 errors, info: done" is not an error and "information" in the middle of prose is not a level.
package enum SeverityDetector {
    /// How much of a line is looked at.
    package static let bytesMaximum = 512

    /// The severity of `line`; `.unknown` when it tells none.
    package static func severity(of line: UnsafeRawBufferPointer) -> Severity {
        let head = UnsafeRawBufferPointer(rebasing: line.prefix(bytesMaximum))
        guard let first = head.first else { return .unknown }
        if first == UInt8(ascii: "{"), let severity = jsonField(line) { return severity }
        if let severity = klogLetter(head) { return severity }
        return words(head)
    }

    /// The severity of a line given as a slice.
    package static func severity(of line: ArraySlice<UInt8>) -> Severity { line.withUnsafeBytes { severity(of: $0) } }

    /// Whether `key` is a name under which levels are written: level, severity, lvl and the like, in any case.
    package static func isLevelKey(_ key: UnsafeRawBufferPointer) -> Bool {
        switch key.count {
        case 3: isFolded(key, "lvl")
        case 5: isFolded(key, "level")
        case 8: isFolded(key, "severity") || isFolded(key, "loglevel")
        case 9: isFolded(key, "log.level") || isFolded(key, "log_level")
        case 12: isFolded(key, "severitytext")
        case 13: isFolded(key, "severity_text")
        default: false
        }
    }

    /// The level field of a JSON object's top level; nil when the line is no JSON or has none.
    private static func jsonField(_ line: UnsafeRawBufferPointer) -> Severity? {
        guard mentionsLevelKey(line) else { return nil }
        var scanner = JSONScanner(line)
        do {
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                if isLevelKey(key.raw), try scanner.peek() == .string {
                    return Severity(word: try scanner.string().raw)
                }
                if isLevelKey(key.raw), try scanner.peek() == .number {
                    return numbered(try scanner.integer())
                }
                try scanner.skipValue()
            }
            return nil
        } catch {
            return nil
        }
    }

    /// Whether the name of a level key stands in quotes anywhere: without one there is nothing to read an object for.
    private static func mentionsLevelKey(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let base = line.baseAddress else { return false }
        var start = 0
        while start < line.count, let hit = memchr(base + start, Int32(UInt8(ascii: "\"")), line.count - start) {
            let name = UnsafeRawPointer(hit) - base + 1
            guard name + 4 <= line.count else { return false }
            start = name
            guard line[name] | 0x20 == UInt8(ascii: "l") || line[name] | 0x20 == UInt8(ascii: "s") else { continue }
            // No level key is longer than thirteen bytes.
            var end = name + 3
            while end < min(line.count, name + 14), line[end] != UInt8(ascii: "\"") { end += 1 }
            if end < line.count, isLevelKey(UnsafeRawBufferPointer(rebasing: line[name..<end])) { return true }
        }
        return false
    }

    /// The levels of bunyan and pino.
    private static func numbered(_ level: Int64) -> Severity {
        switch level {
        case 10..<20: .trace
        case 20..<30: .debug
        case 30..<40: .info
        case 40..<50: .warn
        case 50..<60: .error
        case 60..<70: .fatal
        default: .unknown
        }
    }

    /// klog and glog begin lines with a letter and the date: "E0102 15:04:05.000000".
    private static func klogLetter(_ head: UnsafeRawBufferPointer) -> Severity? {
        guard head.count > 6, head[5] == 0x20, head[1..<5].allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else {
            return nil
        }
        switch head[0] {
        case UInt8(ascii: "I"): return .info
        case UInt8(ascii: "W"): return .warn
        case UInt8(ascii: "E"): return .error
        case UInt8(ascii: "F"): return .fatal
        default: return nil
        }
    }

    /// The value of the first level key, or the first whole level word. A lower-case word counts only where it stands
    /// as a label: in brackets, before a colon or bar, as the value of a key, or at the line's start.
    private static func words(_ head: UnsafeRawBufferPointer) -> Severity {
        guard let base = head.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return .unknown }
        let count = head.count
        var index = 0
        while index < count {
            while index < count, !isLetter(base[index]) { index += 1 }
            let start = index
            while index < count, isLetter(base[index]) { index += 1 }
            if index - start < 3 { continue }
            if index < count, base[index] == UInt8(ascii: "="), let severity = value(of: head, start..<index) {
                return severity
            }
            guard mayBeLevel(base + start, index - start), isMarked(head, start..<index) else { continue }
            let found = Severity(word: UnsafeRawBufferPointer(rebasing: head[start..<index]))
            if found != .unknown { return assigned(head, from: index) ?? found }
        }
        return .unknown
    }

    /// The value of the first level key behind `start`; nil when there is none.
    private static func assigned(_ head: UnsafeRawBufferPointer, from start: Int) -> Severity? {
        guard let base = head.baseAddress else { return nil }
        var from = start
        while from < head.count, let hit = memchr(base + from, Int32(UInt8(ascii: "=")), head.count - from) {
            let equals = UnsafeRawPointer(hit) - base
            from = equals + 1
            var key = equals
            while key > start, isLetter(head[key - 1]) { key -= 1 }
            if key > start, let severity = value(of: head, key..<equals) { return severity }
        }
        return nil
    }

    /// Whether a word of letters begins as some level's name does: nearly all words are told apart by this.
    @inline(__always)
    private static func mayBeLevel(_ word: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        if count > 13 { return false }
        let key = UInt32(word[0] | 0x20) << 16 | UInt32(word[1] | 0x20) << 8 | UInt32(word[2] | 0x20)
        switch key {
        case 0x747261, 0x747263, 0x646562, 0x646267, 0x696e66, 0x6e6f74, 0x776172, 0x77726e, 0x657272, 0x637269,
            0x666174, 0x70616e, 0x616c65, 0x656d65:
            return true
        default: return false
        }
    }

    /// Of `level="warn"` or `level=warn` the severity; nil when the key is another, or the value no level.
    private static func value(of head: UnsafeRawBufferPointer, _ key: Range<Int>) -> Severity? {
        guard isLevelKey(UnsafeRawBufferPointer(rebasing: head[key])) else { return nil }
        var start = key.upperBound + 1
        if start < head.count, head[start] == UInt8(ascii: "\"") { start += 1 }
        var end = start
        while end < head.count, isLetter(head[end]) { end += 1 }
        let severity = Severity(word: UnsafeRawBufferPointer(rebasing: head[start..<end]))
        return severity == .unknown ? nil : severity
    }

    private static func isMarked(_ head: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        let before = range.lowerBound > 0 ? head[range.lowerBound - 1] : 0x0a
        let after = range.upperBound < head.count ? head[range.upperBound] : 0x20
        // "info_total", "error.go" and "x-error=1" are names, not levels.
        let joins: (UInt8) -> Bool = { byte in
            byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "/") || byte >= 0x80
        }
        if joins(before) || joins(after) || after == UInt8(ascii: "=") || after == UInt8(ascii: ".") { return false }
        let isUpper = head[range].allSatisfy { $0 & 0x20 == 0 }
        if isUpper || range.lowerBound == 0 { return true }
        if after == UInt8(ascii: ":") || after == UInt8(ascii: "]") || after == UInt8(ascii: "|") { return true }
        switch before {
        case UInt8(ascii: "["), UInt8(ascii: "<"), UInt8(ascii: "|"), UInt8(ascii: "\""), UInt8(ascii: "="): return true
        default: return false
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

    private static func isFolded(_ text: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        for index in 0..<text.count {
            let byte = text[index]
            let lower = isLetter(byte) ? byte | 0x20 : byte
            if lower != word.utf8Start[index] { return false }
        }
        return true
    }
}
