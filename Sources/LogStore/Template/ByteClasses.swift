/// What the tokenizer has to know of a byte, in one table look-up.
enum ByteClasses {
    static let digit: UInt8 = 1
    /// Ends a word.
    static let delimiter: UInt8 = 2
    static let hexadecimalLetter: UInt8 = 4
    static let letter: UInt8 = 8
    static let upper: UInt8 = 16
    /// Ends the value of a `key=value`.
    static let valueEnd: UInt8 = 32
    /// Ends a JSON number or name.
    static let jsonEnd: UInt8 = 64
    /// Belongs to a word of the filters: letters, digits and hyphens.
    static let word: UInt8 = 128

    /// Lives as long as the process.
    nonisolated(unsafe) static let table: UnsafePointer<UInt8> = {
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        for byte in 0..<256 { table[byte] = classes(of: UInt8(byte)) }
        return UnsafePointer(table)
    }()

    /// Whether a byte may be part of an identifier (1): hexadecimal digits of either case, and hyphens.
    nonisolated(unsafe) static let identifiers: UnsafePointer<UInt8> = {
        let identifiers = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        for byte in 0..<256 {
            let isPart = table[byte] & (digit | hexadecimalLetter) != 0 || byte == Int(UInt8(ascii: "-"))
            identifiers[byte] = isPart ? 1 : 0
        }
        return UnsafePointer(identifiers)
    }()

    private static func classes(of byte: UInt8) -> UInt8 {
        let scalar = Unicode.Scalar(byte)
        var classes: UInt8 = 0
        if ("0"..."9").contains(scalar) { classes |= digit | word }
        if ("a"..."z").contains(scalar) { classes |= letter | word }
        if ("A"..."Z").contains(scalar) { classes |= letter | upper | word }
        if ("a"..."f").contains(scalar) || ("A"..."F").contains(scalar) { classes |= hexadecimalLetter }
        if scalar == "-" { classes |= word }
        if " \t\n\r,;()[]{}<>\"'=|\0".unicodeScalars.contains(scalar) { classes |= delimiter }
        if " \t\n\r,;()[]{}<>\"'=|&\0".unicodeScalars.contains(scalar) { classes |= valueEnd }
        if " \t\n\r,}]".unicodeScalars.contains(scalar) { classes |= jsonEnd }
        return classes
    }
}
