/// A word of LogQL and where it stands.
struct LogQLToken: Hashable {
    /// What kind of word.
    enum Kind: Hashable {
        /// A name or keyword; which of the two depends on where it stands.
        case identifier(String)
        case string(String)
        case number(Double)
        /// What begins like a number and is none that Go's `ParseFloat` reads, like `0x10`.
        case malformedNumber
        /// `1h15m30.9s` in nanoseconds, as Go writes durations, with days, weeks and years.
        case duration(Int64)
        /// `[5m]` in nanoseconds.
        case range(Int64)
        /// `20MB` in bytes.
        case bytes(Int64)
        /// `--strict`, `--keep-empty`.
        case flag(String)
        /// Everything else: braces, operators, commas.
        case symbol(String)
        case end
    }

    let kind: Kind
    /// The word as it was written.
    let text: String
    let span: SourceSpan

    /// The word as an error message names it.
    var described: String {
        switch kind {
        case .end: "$end"
        case .identifier: "IDENTIFIER"
        case .string: "STRING"
        case .number, .malformedNumber: "NUMBER"
        case .duration: "DURATION"
        case .range: "RANGE"
        case .bytes: "BYTES"
        case .flag: "FUNCTION_FLAG"
        case .symbol(let symbol): symbol
        }
    }
}
