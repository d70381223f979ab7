/// How bad a line says it is. The names are those of Loki's `detected_level`.
package enum Severity: UInt8, Sendable, CaseIterable, Comparable {
    case unknown = 0
    case trace = 1
    case debug = 2
    case info = 3
    case warn = 4
    case error = 5
    case critical = 6
    case fatal = 7

    /// "info", "warn", …
    package var name: String {
        switch self {
        case .unknown: "unknown"
        case .trace: "trace"
        case .debug: "debug"
        case .info: "info"
        case .warn: "warn"
        case .error: "error"
        case .critical: "critical"
        case .fatal: "fatal"
        }
    }

    package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }

    /// The severity that the value of a level field names, in any case and in the usual short forms; `.unknown` for
    /// another word.
    package init(word: UnsafeRawBufferPointer) {
        self = .unknown
        guard (3...13).contains(word.count) else { return }
        // Eight bytes in lower case tell all these words apart; none but "information" and "informational" is longer.
        var key: UInt64 = 0
        for byte in word.prefix(9) where key >> 56 == 0 {
            guard byte | 0x20 >= UInt8(ascii: "a"), byte | 0x20 <= UInt8(ascii: "z") else { return }
            key = key << 8 | UInt64(byte | 0x20)
        }
        self = Severity.byKey[key] ?? .unknown
    }

    /// The severity that `word` names.
    package init(word: String) {
        var word = word
        self = word.withUTF8 { Severity(word: UnsafeRawBufferPointer($0)) }
    }

    private static let byKey: [UInt64: Severity] = {
        let words: [(String, Severity)] = [
            ("trace", .trace), ("trc", .trace), ("debug", .debug), ("dbg", .debug), ("info", .info), ("inf", .info),
            ("informat", .info), ("notice", .info), ("warn", .warn), ("wrn", .warn), ("warning", .warn),
            ("error", .error), ("err", .error), ("critical", .critical), ("crit", .critical), ("fatal", .fatal),
            ("panic", .fatal), ("alert", .critical), ("emerg", .fatal),
        ]
        return Dictionary(
            uniqueKeysWithValues: words.map { word, severity in
                (word.utf8.reduce(0) { $0 << 8 | UInt64($1) }, severity)
            })
    }()
}
