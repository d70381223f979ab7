internal import Telemetry

/// What `__error__` and `__error_details__` say of a line. Both are labels: the details are Loki's, which say what is
/// wrong and, but for logfmt, not at which byte, so that broken lines do not make a stream each.
enum LineError {
    static let json = "JSONParserErr"
    static let logfmt = "LogfmtParserErr"
    static let labelFilter = "LabelFilterErr"
    static let sample = "SampleExtractionErr"
    static let template = "TemplateFormatErr"

    /// What is wrong with a line that `json` or `unpack` could not read.
    static func details(ofJSON error: ByteError) -> String {
        let reason = error.reason
        if reason == JSONScanner.unclosedString { return "Value is string, but can't find closing '\"' symbol" }
        if reason == JSONScanner.unknownEscape { return "Encountered an invalid escape sequence in a string" }
        let isNoValue = ["a value", "null", "true", "false"].contains { reason.hasSuffix(" where \($0) should be") }
        return isNoValue ? "Unknown value type" : "Value looks like object, but can't find closing '}' symbol"
    }

    /// What is wrong with a line that `logfmt --strict` could not read.
    static func details(ofLogfmt error: ByteError) -> String {
        "logfmt syntax error at pos \(error.offset + 1) : \(error.reason)"
    }

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
