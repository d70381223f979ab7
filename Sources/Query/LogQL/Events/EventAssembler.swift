/// Tells which lines of a stream are one event: a stack trace belongs to the line that began it. Lines stay as they
/// were written; only what is shown and matched together is decided here.
///
/// A line continues an event when it is indented, when it is one of the lines that runtimes write unindented within a
/// trace (`Caused by:`, `Traceback`, `goroutine 1 [running]:`) and the line before is no JSON object, or when the
/// trace it stands in says so (`TraceKind`). Fed with the lines of one stream in their order.
package struct EventAssembler: Sendable {
    /// Lines further apart are never one event: a trace is written at once.
    private static let gapNanosecondsMaximum: Int64 = 2_000_000_000
    /// A longer event is cut, so that a program that only ever indents does not become one.
    package static let linesMaximum = 1_000

    private var trace: TraceKind?
    private var lines = 0
    private var lastNanoseconds: Int64 = .min
    private var wasIndented = false
    /// Whether the line before was an object: such a line is whole, and what ran into an error writes below it.
    private var wasObject = false

    /// Before the first line.
    package init() {}

    /// Whether the next line continues the event of the line before it; false where it begins a new one.
    package mutating func continues(_ text: some Collection<UInt8>, at nanoseconds: Int64) -> Bool {
        let line = TraceLine(text)
        let isNear = lines > 0 && nanoseconds &- lastNanoseconds <= EventAssembler.gapNanosecondsMaximum
        lastNanoseconds = nanoseconds
        let isContinued = isNear && lines < EventAssembler.linesMaximum && belongs(line)
        if isContinued {
            lines += 1
        } else {
            lines = 1
            trace = nil
        }
        if let begun = TraceKind.begun(by: line) { trace = begun }
        wasIndented = line.isIndented
        wasObject = line.text.hasPrefix("{")
        return isContinued
    }

    private func belongs(_ line: TraceLine) -> Bool {
        if line.isIndented { return true }
        if let trace, trace.contains(line) { return true }
        if TraceKind.isMiddle(line) { return !wasObject }
        // What was printed over several lines ends with a bracket of its own.
        return wasIndented && ["}", "]", ")", "},", "],", "});", "};"].contains(line.text)
    }
}

/// One line as traces are told apart by.
struct TraceLine {
    /// The beginning is enough.
    private static let bytesMaximum = 256

    let text: String
    /// Whether it begins with a blank and is not blank altogether.
    let isIndented: Bool

    init(_ bytes: some Collection<UInt8>) {
        var head = Array(bytes.prefix(TraceLine.bytesMaximum))[...]
        let first = head.first
        while let last = head.last, last == 0x20 || last == 0x0d || last == 0x09 { head = head.dropLast() }
        text = String(decoding: head, as: UTF8.self)
        isIndented = (first == 0x20 || first == 0x09) && !text.isEmpty
    }

    func begins(with prefixes: [String]) -> Bool { prefixes.contains { text.hasPrefix($0) } }

    /// Whether it is a call as Go writes it: `main.take(0xc000012345, 0x2)`.
    var isCall: Bool {
        text.hasSuffix(")") && text.contains("(") && !text.prefix { $0 != "(" }.contains(" ")
    }

    /// Whether it is a qualified name, and maybe a colon and words: `java.io.IOException: gone`, `ValueError: no`.
    func isException(needsDot: Bool) -> Bool {
        let name = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "._$".contains($0)) }
        guard let first = name.first, first.isLetter,
            name.count == text.count || text.dropFirst(name.count).first == ":"
        else { return false }
        if needsDot, !name.dropLast().contains(".") { return false }
        let last = name.split(whereSeparator: { $0 == "." || $0 == "$" }).last ?? ""
        return ["Exception", "Error", "Throwable", "Interrupt", "Exit", "Warning", "Failure", "Iteration", "Fault"]
            .contains { last.hasSuffix($0) }
    }
}

/// The traces of the runtimes that containers run.
enum TraceKind: CaseIterable {
    case python
    case go
    case rust
    case swift
    case node
    case java

    /// The kind of trace that a line begins.
    static func begun(by line: TraceLine) -> TraceKind? { allCases.first { $0.isBegun(by: line) } }

    private func isBegun(by line: TraceLine) -> Bool {
        let text = line.text
        switch self {
        case .python: return text.contains("Traceback (most recent call last):")
        case .go:
            return line.begins(with: ["panic: ", "fatal error: ", "SIGQUIT: ", "SIGSEGV: "])
                || text == "WARNING: DATA RACE"
        case .rust: return text.hasPrefix("thread '") && text.contains(" panicked at ")
        case .swift:
            return text.contains(": Fatal error") || text.hasPrefix("Fatal error: ") || text.contains("*** Signal ")
                || text.contains("💣 Program crashed")
        case .node:
            let place = text.split(separator: ":")
            return place.count == 2 && Int(place[1]) != nil
                && [".js", ".ts", ".mjs", ".cjs"].contains { place[0].hasSuffix($0) }
        case .java: return text.hasPrefix("Exception in thread ") || text.hasPrefix("Unhandled exception. ")
        }
    }

    /// Whether an unindented line stands within a trace of this kind that has begun.
    func contains(_ line: TraceLine) -> Bool {
        let text = line.text
        switch self {
        case .python:
            // The last line of a traceback names the exception; another one may follow.
            return text.isEmpty || line.isException(needsDot: false)
                || line.begins(with: ["During handling of ", "The above exception was "])
        case .go:
            return text.isEmpty
                || line.begins(with: ["goroutine ", "[signal ", "created by ", "exit status ", "panic: ", "=="])
                || line.isCall
                || line.begins(with: ["Write at ", "Read at ", "Previous ", "Goroutine "])
        case .rust:
            // The message stands on a line of its own.
            return !line.begins(with: ["thread '"]) && !Self.looksStamped(text)
        case .swift:
            return text.isEmpty || text.first?.isNumber == true && !Self.looksStamped(text)
                || line.begins(with: [
                    "Thread ", "Current stack trace:", "Registers:", "Images ", "***", "Crash:", "Backtrace took",
                    "Illegal instruction", "Stack dump",
                ]) || text.contains(" 0x") && !Self.looksStamped(text)
        case .node:
            return text.isEmpty || text.allSatisfy { $0 == "^" } || line.isException(needsDot: false)
                || line.begins(with: ["Node.js v", "Uncaught "]) || text.hasPrefix("throw ") || text == "}"
        case .java: return false
        }
    }

    /// Whether a line stands in the middle of any trace, so that it continues whatever is before it.
    static func isMiddle(_ line: TraceLine) -> Bool {
        line.begins(with: [
            "Caused by: ", "Suppressed: ", "Traceback (most recent call last):", "--- End of ", "stack backtrace:",
            "note: run with `RUST_BACKTRACE", "goroutine 1 [",
        ]) || line.isException(needsDot: true)
    }

    /// Whether a line begins as log lines of their own do: with a date, a time, a level, an object.
    private static func looksStamped(_ text: String) -> Bool {
        guard let first = text.first else { return false }
        if first == "{" || first == "[" { return true }
        let word = text.prefix { $0 != " " }
        if first.isNumber { return word.count >= 8 && word.contains { "-:/".contains($0) } }
        let letters = word.prefix { $0.isLetter }
        return ["INFO", "WARN", "WARNING", "ERROR", "DEBUG", "TRACE", "FATAL", "time", "level", "ts"].contains {
            $0 == letters
        }
    }
}
