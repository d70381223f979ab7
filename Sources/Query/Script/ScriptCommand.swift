internal import Telemetry

/// One command of a script: what it loads, or what it evaluates and expects.
enum ScriptCommand<Load: Sendable>: Sendable {
    case clear
    case load(Load)
    case evaluate(ScriptEvaluation)
}

/// A point of a script's series.
enum ScriptValue: Sendable {
    case omitted
    case number(Double)
    /// `checksHint` says that the script names the counter reset hint, so that it is compared.
    case histogram(NativeHistogram, checksHint: Bool)
}

/// `load <step>` and the series below it.
struct ScriptLoad: Sendable {
    /// A series and its points, `step` apart, from time 0.
    struct Series: Sendable {
        var labels: Labels
        var values: [ScriptValue]
        /// Where each point's counter began, relative to the point; nil for unknown. Empty or as long as `values`.
        var startOffsets: [Int64?] = []
    }

    var stepMilliseconds: Int64
    /// Whether classic histograms are loaded a second time as native ones with custom buckets.
    var addsNativeHistograms: Bool
    var series: [Series] = []
}

/// `eval …` and what it expects.
struct ScriptEvaluation: Sendable {
    /// What a message must be like.
    struct Expectation: Sendable {
        /// The whole message, or nil for a pattern.
        var message: String?
        var pattern: RegularExpression?
        /// Whether `message` may be a part of the whole.
        var isPart = false

        func matches(_ text: String) -> Bool {
            if let message { return isPart ? text.contains(message) : text == message }
            return pattern?.matches(text) ?? true
        }

        var described: String {
            if let message { return "\(isPart ? "the words" : "exactly") “\(message)”" }
            return pattern.map { "a match of “\($0.pattern)”" } ?? "anything"
        }
    }

    /// A series of the expected answer, in the order of the script.
    struct Series: Sendable {
        var labels: Labels
        var values: [ScriptValue]
        /// Of a log query, in the order of the answer.
        var lines: [Line] = []
    }

    /// A line of the expected answer to a log query.
    struct Line: Hashable, Sendable {
        var nanoseconds: Int64
        var text: String
    }

    var line: Int
    var query: String
    var startMilliseconds: Int64
    var endMilliseconds: Int64
    /// 0 for an instant query.
    var stepMilliseconds: Int64
    var isRange: Bool
    var isOrdered = false
    /// Not nil when it must fail.
    var failure: Expectation?
    var warnings: [Expectation] = []
    var infos: [Expectation] = []
    var forbidsWarnings = false
    var forbidsInfos = false
    var scalar: Double?
    var string: String?
    var series: [Series] = []
    /// Set by `expect range vector`: the answer is a matrix with these times.
    var isRangeVector = false
    /// Of a log query: newest first.
    var isBackward = false
    /// Of a log query: at most so many lines, 0 for all.
    var limit = 0
}

/// Why a script cannot be read.
package struct ScriptError: Error, CustomStringConvertible, Sendable {
    package var line: Int
    package var message: String

    /// An error in `line`, from 1.
    package init(line: Int, _ message: String) {
        self.line = line
        self.message = message
    }

    package var description: String { "line \(line): \(message)" }
}
