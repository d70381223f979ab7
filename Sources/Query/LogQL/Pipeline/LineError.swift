/// What `__error__` says of a line.
enum LineError {
    static let json = "JSONParserErr"
    static let logfmt = "LogfmtParserErr"
    static let labelFilter = "LabelFilterErr"
    static let sample = "SampleExtractionErr"
    static let template = "TemplateFormatErr"

    /// Whether a parser noted it: such lines may be asked for.
    static func isOfParser(_ error: String) -> Bool { error == json || error == logfmt }

    /// Why a metric query fails on such a line, and what to do about it.
    static func message(_ error: String, series: String) -> String {
        "pipeline error: '\(error)' for series: '\(series)'.\n"
            + "Use a label filter to intentionally skip this error. (e.g | __error__!=\"\(error)\").\n"
            + "To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n"
            + "The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    }
}
