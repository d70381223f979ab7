/// Which bytes the values of a column can have, and how long they are, as far as its description tells.
struct ValueExtent: Sendable, Hashable {
    /// The sets of bytes that typed values are made of.
    enum Alphabet: Int, Sendable {
        case digits
        case signedDigits
        case decimals
        case addresses
        case lowerHexadecimal
        case upperHexadecimal
        case lowerUUID
        case upperUUID

        /// The bytes.
        var bytes: ByteSet {
            switch self {
            case .digits: .digits
            case .signedDigits: .signedDigits
            case .decimals: ByteSet.digits.union(ByteSet("-.".utf8))
            case .addresses: ByteSet.digits.union(ByteSet(".".utf8))
            case .lowerHexadecimal: ByteSet.digits.union(ByteSet("abcdef".utf8))
            case .upperHexadecimal: ByteSet.digits.union(ByteSet("ABCDEF".utf8))
            case .lowerUUID: ByteSet.digits.union(ByteSet("abcdef-".utf8))
            case .upperUUID: ByteSet.digits.union(ByteSet("ABCDEF-".utf8))
            }
        }
    }

    let alphabet: Alphabet
    let shortest: Int
    let longest: Int

    /// A number for tables; lengths of numbers and identifiers are below 256.
    var code: Int { alphabet.rawValue << 16 | (shortest & 255) << 8 | longest & 255 }

    /// The extent of a column's values; nil where any bytes are possible.
    init?(_ form: StoredColumn.Form) {
        switch form {
        case .integers(let stored):
            guard let bounds = stored.bounds else {
                (alphabet, shortest, longest) = (.signedDigits, 1, 19)
                return
            }
            let isSigned = bounds.lowerBound < 0
            (alphabet, shortest) = (isSigned ? .signedDigits : .digits, 1)
            longest = max(
                ValueExtent.digits(bounds.lowerBound.magnitude) + (isSigned ? 1 : 0),
                ValueExtent.digits(bounds.upperBound.magnitude))
        case .fixed(let width, _): (alphabet, shortest, longest) = (.digits, width, width)
        // Of decimals the digits before the point (with the sign) and behind it, at most.
        case .decimals(let scales, let mantissas):
            let found = ValueExtent.decimals(scales, mantissas)
            (alphabet, shortest, longest) = (found.alphabet, found.shortest, found.longest)
        case .addresses: (alphabet, shortest, longest) = (.addresses, 7, 15)
        case .hexadecimal(let width, let isUpper, _):
            (alphabet, shortest, longest) = (isUpper ? .upperHexadecimal : .lowerHexadecimal, width, width)
        case .packed(let width, let isUpper, let hasHyphens, _):
            alphabet =
                hasHyphens ? (isUpper ? .upperUUID : .lowerUUID) : isUpper ? .upperHexadecimal : .lowerHexadecimal
            (shortest, longest) = hasHyphens ? (36, 36) : (width, width)
        case .constant, .timestamps, .dictionary, .templated, .raw: return nil
        }
    }

    private static func decimals(_ scales: StoredIntegers, _ mantissas: StoredIntegers) -> ValueExtent {
        guard let scale = scales.bounds, let mantissa = mantissas.bounds, scale.lowerBound >= 0,
            scale.upperBound <= 18
        else { return ValueExtent(alphabet: .decimals, shortest: 20, longest: 18) }
        let most = max(mantissa.lowerBound.magnitude, mantissa.upperBound.magnitude)
        let whole = digits(most / UInt64(TimestampForm.powers[Int(scale.lowerBound)]))
        return ValueExtent(
            alphabet: .decimals, shortest: whole + (mantissa.lowerBound < 0 ? 1 : 0), longest: Int(scale.upperBound))
    }

    private init(alphabet: Alphabet, shortest: Int, longest: Int) {
        self.alphabet = alphabet
        self.shortest = shortest
        self.longest = longest
    }

    private static func digits(_ value: UInt64) -> Int {
        var count = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }
}

extension TimestampForm {
    /// The bytes that can stand at each place of a value.
    var places: [ByteSet] {
        func one(_ byte: UInt8) -> ByteSet { ByteSet(CollectionOfOne(byte)) }
        let two = [ByteSet.digits, .digits]
        let clock = two + [one(UInt8(ascii: ":"))] + two + [one(UInt8(ascii: ":"))] + two
        var places: [ByteSet]
        switch kind {
        case .epoch: places = [ByteSet](repeating: .digits, count: 10)
        case .date:
            places = two + two + [one(dateSeparator)] + two + [one(dateSeparator)] + two + [one(timeSeparator)] + clock
        case .webServer:
            let slash = one(UInt8(ascii: "/"))
            let letters = ByteSet.lower.union(.upper)
            places = two + [slash, letters, letters, letters, slash] + two + two + [one(UInt8(ascii: ":"))] + clock
        }
        if fractionDigits > 0 {
            places += [one(fractionSeparator)] + [ByteSet](repeating: .digits, count: fractionDigits)
        }
        return places + suffix.map { one($0) }
    }
}
