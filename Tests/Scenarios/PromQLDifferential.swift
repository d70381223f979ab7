internal import Foundation
internal import ScenarioSupport
internal import Testing

/// Thousands of expressions made by chance, asked of the Prometheus in PATH, the distribution's or version 3, and of us
/// over the same samples.
/// `VEDETTE_DIFFERENTIAL_SEED` and `VEDETTE_DIFFERENTIAL_COUNT` choose others.
@Suite(.serialized) struct PromQLDifferential {
    private static let isAbsent = ChildProcess.find("prometheus") == nil
    private static let isBefore3: Bool = {
        guard let text = try? ChildProcess.run("prometheus", ["--version"]) else { return true }
        return text.output.contains("version 2.")
    }()

    private static func setting(_ name: String, _ fallback: Int) -> Int {
        ProcessInfo.processInfo.environment["VEDETTE_DIFFERENTIAL_\(name)"].flatMap { Int($0) } ?? fallback
    }

    /// One question to both servers.
    private struct Question {
        var expression: GeneratedExpression
        var milliseconds: Int64
        /// Nil for an instant query.
        var steps: (seconds: Int, count: Int)?

        /// What is asked, and of which path.
        func call(_ text: String) -> (path: String, parameters: [(String, String)]) {
            let time = "\(Double(milliseconds) / 1_000)"
            guard let steps else { return ("/api/v1/query", [("query", text), ("time", time)]) }
            let end = "\(Double(milliseconds) / 1_000 + Double(steps.seconds * steps.count))"
            return (
                "/api/v1/query_range",
                [("query", text), ("start", time), ("end", end), ("step", "\(steps.seconds)")]
            )
        }
    }

    @Test(.enabled(if: !isAbsent, "prometheus is not in PATH"))
    func answersAreThoseOfPrometheus() async throws {
        let seed = UInt64(PromQLDifferential.setting("SEED", 1))
        let count = PromQLDifferential.setting("COUNT", 2_500)
        let scratch = try ScratchFolder("differential")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess(
            "server", dataFolder: scratch.file("data"), arguments: ["--retention-metrics", "0"])
        do {
            let prometheus = try await PrometheusServer(receivingIn: scratch)
            do {
                let (theirs, ours) = (PrometheusClient(port: prometheus.port), PrometheusClient(port: vedette.port))
                try await compare(theirs, ours, seed, count)
            } catch {
                Issue.record(error)
            }
            await prometheus.stop()
        } catch {
            Issue.record(error)
        }
        await vedette.stop()
    }

    private func compare(
        _ prometheus: PrometheusClient, _ vedette: PrometheusClient, _ seed: UInt64, _ count: Int
    ) async throws {
        for batch in DifferentialData(seed: seed).batches {
            try await prometheus.write(batch)
            try await vedette.write(batch)
        }
        var generator = ExpressionGenerator(seed: seed)
        var failures = 0
        for number in 0..<count {
            let question = Question(
                expression: generator.next(), milliseconds: generator.milliseconds(),
                steps: number.isMultiple(of: 2) ? nil : generator.steps())
            guard try await difference(question, prometheus, vedette) != nil else { continue }
            failures += 1
            let (smallest, reason) = try await shrunk(question, prometheus, vedette)
            Issue.record(
                """
                Prometheus and we differ, seed \(seed), expression \(number): \(question.expression)
                smallest: \(smallest.call("\(smallest.expression)"))
                \(reason)
                """)
            if failures == 20 { break }
        }
        print("differential: ExpressionGenerator, seed \(seed), \(count) expressions, \(failures) differ")
    }

    /// What Prometheus' answer and ours differ in; nil when they are the same.
    private func difference(
        _ question: Question, _ prometheus: PrometheusClient, _ vedette: PrometheusClient
    ) async throws -> String? {
        let text = "\(question.expression)"
        let newText = text.replacingOccurrences(
            of: ExpressionGenerator.smoothingBefore3, with: "double_exponential_smoothing")
        let theirs = question.call(Self.isBefore3 ? text : newText)
        let ours = question.call(newText)
        async let left = prometheus.post(theirs.path, theirs.parameters)
        async let right = vedette.post(ours.path, ours.parameters)
        let hasDeviation = text.contains("stddev") || text.contains("stdvar")
        return ComparableAnswer(try await left).difference(
            ComparableAnswer(try await right), ofDeviations: hasDeviation)
    }

    /// The smallest question found that still differs, and in what.
    private func shrunk(
        _ question: Question, _ prometheus: PrometheusClient, _ vedette: PrometheusClient
    ) async throws -> (Question, String) {
        var smallest = question
        var reason = try await difference(question, prometheus, vedette) ?? ""
        var candidates = smaller(smallest)
        while !candidates.isEmpty {
            let candidate = candidates.removeFirst()
            guard let found = try await difference(candidate, prometheus, vedette) else { continue }
            (smallest, reason) = (candidate, found)
            candidates = smaller(candidate)
        }
        return (smallest, reason)
    }

    private func smaller(_ question: Question) -> [Question] {
        var all = question.expression.reductions.map {
            Question(expression: $0, milliseconds: question.milliseconds, steps: question.steps)
        }
        if let steps = question.steps {
            for step in 0...steps.count {
                var instant = question
                instant.steps = nil
                instant.milliseconds += Int64(step * steps.seconds) * 1_000
                all.append(instant)
            }
        }
        return all
    }
}
