/// The types of a column of values (docs/formats/log-part.md).
enum ColumnKind: UInt8 {
    /// All values are the same.
    case constant = 0
    /// Decimal integers without leading zeros.
    case integers = 1
    /// Digits, all of one width.
    case fixed = 2
    /// Decimal fractions.
    case decimals = 3
    /// IPv4 addresses.
    case addresses = 4
    /// Up to 16 hexadecimal digits, all of one width.
    case hexadecimal = 5
    /// More than 16 hexadecimal digits, all of one width.
    case identifiers = 6
    case uuids = 7
    /// Points in time, relative to the records' own.
    case timestamps = 8
    /// Few distinct values.
    case dictionary = 9
    /// Values that are split again.
    case templated = 10
    /// Bytes as they are.
    case raw = 11
}
