internal import ArgumentParser
internal import Foundation
internal import Query
internal import Telemetry
internal import Wire

/// Completes metric names, label names, label values and functions at the end of a half-written expression, for the
/// shells' completion scripts (`vedette --generate-completion-script bash|zsh|fish`).
///
/// Asks the server named by $VEDETTE_SERVER, or the default one, for at most a second: completion must never hang.
enum ExpressionCompletion {
    private static let candidatesMaximum = 200
    private static let timeoutMilliseconds: Int64 = 1_000

    /// What stands before the word that is being written, and what it can be.
    enum Place: Equatable {
        case metricOrFunction
        /// Within braces or a `by (…)`; of this metric where it is known.
        case labelName(metric: String?)
        case labelValue(name: String, metric: String?)
    }

    /// Whole words that begin as the one being written, in the shell's terms: everything before stays as it is.
    @Sendable
    static func candidates(_ arguments: [String], _ index: Int, _ prefix: String) -> [String] {
        let (place, word) = split(prefix)
        let kept = String(prefix.dropLast(word.count))
        let names: [String]
        switch place {
        case .metricOrFunction: names = values("__name__", metric: nil) + Functions.all.map { $0.name + "(" }
        case .labelName(let metric): names = labelNames(metric)
        case .labelValue(let name, let metric): names = values(name, metric: metric)
        }
        return names.filter { $0.hasPrefix(word) }.sorted().prefix(candidatesMaximum).map { kept + $0 }
    }

    /// Finds out where the end of `text` stands, and the word there.
    static func split(_ text: String) -> (place: Place, word: String) {
        var isQuoted = false
        var braceStart: String.Index?
        var quoteStart = text.startIndex
        for index in text.indices {
            switch text[index] {
            case "\"":
                isQuoted.toggle()
                quoteStart = index
            case "{" where !isQuoted: braceStart = index
            case "}" where !isQuoted: braceStart = nil
            default: break
            }
        }
        func isName(_ character: Character) -> Bool {
            character.isASCII && (character.isLetter || character.isNumber || character == "_" || character == ":")
        }
        func name(before index: String.Index) -> String {
            let head = text[..<index].reversed().drop { !isName($0) }
            return String(head.prefix(while: isName).reversed())
        }
        if let braceStart {
            let metric = String(text[..<braceStart].reversed().prefix(while: isName).reversed())
            let known = metric.isEmpty ? nil : metric
            if isQuoted {
                let word = String(text[text.index(after: quoteStart)...])
                return (.labelValue(name: name(before: quoteStart), metric: known), word)
            }
            return (.labelName(metric: known), String(text.reversed().prefix(while: isName).reversed()))
        }
        let word = String(text.reversed().prefix(while: isName).reversed())
        let before = text.dropLast(word.count)
        if let open = before.lastIndex(of: "("), !before[open...].contains(")") {
            let keyword = name(before: open)
            if ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(keyword) {
                return (.labelName(metric: nil), word)
            }
        }
        return (.metricOrFunction, word)
    }

    private static func labelNames(_ metric: String?) -> [String] {
        ask("/api/v1/labels", metric)
    }

    private static func values(_ label: String, metric: String?) -> [String] {
        let name = label.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? label
        return ask("/api/v1/label/\(name)/values", metric)
    }

    private static func ask(_ path: String, _ metric: String?) -> [String] {
        let done = DispatchSemaphore(value: 0)
        let answer = Answer()
        Task {
            defer { done.signal() }
            guard let connection = try? ConnectionOptions.parse([]), let client = try? ServerClient(connection) else {
                return
            }
            let parameters = metric.map { [("match[]", "{__name__=\"\($0)\"}")] } ?? []
            let data = try? await client.data(path, parameters, timeoutMilliseconds: timeoutMilliseconds)
            answer.set((data?.elements ?? []).compactMap(\.text))
        }
        return done.wait(timeout: .now() + .milliseconds(Int(timeoutMilliseconds))) == .success ? answer.get() : []
    }

    /// What the asking task leaves for the waiting thread.
    private final class Answer: @unchecked Sendable {
        private let lock = NSLock()
        private var names: [String] = []

        func set(_ names: [String]) { lock.withLock { self.names = names } }
        func get() -> [String] { lock.withLock { names } }
    }
}
