internal import Glibc

/// What one pass over the values of a slot tells: enough to know which types are worth a try.
struct ValueShape {
    var isConstant = true
    var shortest = Int.max
    var longest = 0
    /// The classes of the bytes that occur, of values up to `classifiedBytesMaximum`.
    var classes: UInt8 = 0
    /// Whether there is a byte that is neither a digit nor `.` nor `-` nor a hexadecimal letter.
    var hasOther = false
    var hasDot = false
    var hasHyphen = false
    /// Whether letters of both cases occur.
    var hasLower = false
    var hasUpper = false
    /// Hexadecimal letters occur.
    var hasHexadecimal = false
    /// The longest run of bytes of which words are made, over all values.
    var runs = WordRuns.none

    /// Looks at all values.
    init(_ values: [SlotValue], in base: UnsafePointer<UInt8>) {
        guard let first = values.first else { return }
        let table = ByteClasses.table
        let firstBytes = base + Int(first.start)
        values.withUnsafeBufferPointer { values in
            for value in values {
                let bytes = base + Int(value.start)
                let count = Int(value.count)
                shortest = min(shortest, count)
                longest = max(longest, count)
                if isConstant, value.count != first.count || memcmp(bytes, firstBytes, count) != 0 {
                    isConstant = false
                }
                if hasOther { continue }
                for index in 0..<count {
                    let kind = table[Int(bytes[index])]
                    if kind & ByteClasses.digit != 0 { continue }
                    if kind & ByteClasses.hexadecimalLetter != 0 {
                        hasHexadecimal = true
                        if kind & ByteClasses.upper != 0 { hasUpper = true } else { hasLower = true }
                    } else if bytes[index] == UInt8(ascii: ".") {
                        hasDot = true
                    } else if bytes[index] == UInt8(ascii: "-") {
                        hasHyphen = true
                    } else {
                        hasOther = true
                        break
                    }
                }
            }
        }
    }

    /// Only digits, and a sign perhaps.
    var mayBeInteger: Bool { !hasOther && !hasDot && !hasHexadecimal && longest <= 19 && shortest > 0 }
    var mayBeFixed: Bool { mayBeInteger && !hasHyphen && shortest == longest && longest <= 18 }
    var mayBeDecimal: Bool { !hasOther && hasDot && !hasHexadecimal && longest <= 19 && shortest > 2 }
    var mayBeAddress: Bool { !hasOther && hasDot && !hasHexadecimal && !hasHyphen && longest <= 15 && shortest >= 7 }
    var mayBeHexadecimal: Bool {
        !hasOther && !hasDot && !hasHyphen && shortest == longest && longest >= 3 && longest <= 128
            && !(hasLower && hasUpper)
    }
    var mayBeUUID: Bool {
        !hasOther && !hasDot && hasHyphen && shortest == 36 && longest == 36 && !(hasLower && hasUpper)
    }
}

/// How long runs of word bytes (letters, digits, hyphens) in a text can be: upper bounds that can be put together, as
/// for a segment tree.
struct WordRuns: Equatable {
    var prefix = 0
    var suffix = 0
    var longest = 0
    /// The length of the longest text that is one run; -1 when none is.
    var whole = -1

    /// The empty text.
    static let none = WordRuns(prefix: 0, suffix: 0, longest: 0, whole: 0)
    /// A text without word bytes.
    static let barrier = WordRuns()

    /// Texts that may be one run of up to `length` bytes.
    static func all(_ length: Int) -> WordRuns {
        WordRuns(prefix: length, suffix: length, longest: length, whole: length)
    }

    /// The runs of word bytes in one text.
    init(_ text: UnsafeRawBufferPointer) {
        self.init(text, ByteClasses.table, ByteClasses.word)
    }

    /// The runs of bytes of identifiers in one text.
    init(identifiersIn text: UnsafeRawBufferPointer) {
        self.init(text, ByteClasses.identifiers, 1)
    }

    private init(_ text: UnsafeRawBufferPointer, _ table: UnsafePointer<UInt8>, _ wanted: UInt8) {
        var run = 0
        var isWhole = true
        for byte in text {
            if table[Int(byte)] & wanted != 0 {
                run += 1
            } else {
                if isWhole { prefix = run }
                isWhole = false
                longest = max(longest, run)
                run = 0
            }
        }
        longest = max(longest, run)
        suffix = run
        if isWhole {
            prefix = run
            whole = run
        }
    }

    init(prefix: Int = 0, suffix: Int = 0, longest: Int = 0, whole: Int = -1) {
        self.prefix = prefix
        self.suffix = suffix
        self.longest = longest
        self.whole = whole
    }

    /// One of either.
    func union(_ other: WordRuns) -> WordRuns {
        WordRuns(
            prefix: max(prefix, other.prefix), suffix: max(suffix, other.suffix), longest: max(longest, other.longest),
            whole: max(whole, other.whole))
    }

    /// One behind the other.
    func followed(by other: WordRuns) -> WordRuns {
        WordRuns(
            prefix: max(prefix, whole >= 0 ? whole + other.prefix : 0),
            suffix: max(other.suffix, other.whole >= 0 ? other.whole + suffix : 0),
            longest: max(longest, other.longest, suffix + other.prefix),
            whole: whole >= 0 && other.whole >= 0 ? whole + other.whole : -1)
    }
}

/// The runs of a text both of word bytes and of bytes of identifiers.
struct TextRuns: Equatable {
    var words: WordRuns
    var identifiers: WordRuns

    /// The empty text.
    static let none = TextRuns(both: .none)
    /// A text whose words the filter knows.
    static let barrier = TextRuns(both: .barrier)

    /// The same for both.
    init(both runs: WordRuns) {
        words = runs
        identifiers = runs
    }

    /// The runs of one text.
    init(_ text: UnsafeRawBufferPointer) {
        words = WordRuns(text)
        identifiers = WordRuns(identifiersIn: text)
    }

    /// One of either.
    mutating func formUnion(_ other: TextRuns) {
        words = words.union(other.words)
        identifiers = identifiers.union(other.identifiers)
    }

    /// One behind the other.
    mutating func follow(with other: TextRuns) {
        words = words.followed(by: other.words)
        identifiers = identifiers.followed(by: other.identifiers)
    }
}
