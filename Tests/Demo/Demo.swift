internal import Foundation
internal import Glibc
internal import ScenarioSupport

/// Shows the story in a terminal, step by step, with the times: `make demo`. With `--rounds N` it plays the story N
/// times and prints the median and the 99th percentile.
@main
enum Demo {
    static func main() async {
        let arguments = CommandLine.arguments
        if let index = arguments.firstIndex(of: "--binary"), index + 1 < arguments.count {
            setenv("VEDETTE_BINARY", arguments[index + 1], 1)
        }
        var rounds = 1
        if let index = arguments.firstIndex(of: "--rounds"), index + 1 < arguments.count {
            rounds = Int(arguments[index + 1]) ?? 1
        }
        if let reason = DockerEngine.reasonForAbsence {
            say("the demo cannot run here: \(reason)")
            exit(1)
        }
        do {
            try await tell(rounds: rounds)
        } catch {
            say("the story broke off: \(error)")
            exit(1)
        }
    }

    private static func tell(rounds: Int) async throws {
        say("setting the stage: a Docker daemon, a webhook listener and `vedette up`, each of its own")
        let stage = try await HealingStage.set("demo")
        var failure: (any Error)?
        var played: [OOMRound] = []
        do {
            say(rounds > 1 ? "" : "\n\(dim("time          since the kill"))")
            for number in 1...rounds {
                let round = try await OOMRound.play(on: stage, name: "web\(number)") { step in
                    if rounds == 1 { narrate(step) }
                }
                played.append(round)
                if rounds > 1 { say(line(number, of: rounds, round)) }
            }
            try await closing(stage, played)
        } catch {
            failure = error
            say(String(stage.vedette.process.output.suffix(4_000)))
        }
        await stage.strike()
        if let failure { throw failure }
    }

    private static func line(_ number: Int, of rounds: Int, _ round: OOMRound) -> String {
        let times = String(
            format: "webhook %.3f s   running again %.3f s   verified", round.secondsToWebhook, round.secondsToRestart)
        return "round \(number) of \(rounds)".padding(toLength: 18, withPad: " ", startingAt: 0) + times
    }

    private static func closing(_ stage: HealingStage, _ played: [OOMRound]) async throws {
        let audit = try ChildProcess.run(
            VedetteProcess.binary, ["audit", "verify", "--data", stage.vedette.dataFolder])
        say("")
        say("the audit log: " + audit.output.trimmingCharacters(in: .whitespacesAndNewlines))
        say("")
        say(dim("from the kernel's kill          " + (played.count > 1 ? " median       p99" : "")))
        say(row("to the webhook", played.map(\.secondsToWebhook)))
        say(row("to the restarted container", played.map(\.secondsToRestart)))
    }

    private static func row(_ what: String, _ seconds: [Double]) -> String {
        let sorted = seconds.sorted()
        let median = sorted[sorted.count / 2]
        let high = sorted[min(sorted.count - 1, Int((Double(sorted.count) * 0.99).rounded(.up)) - 1)]
        let padded = what.padding(toLength: 30, withPad: " ", startingAt: 0)
        guard seconds.count > 1 else { return padded + String(format: "%7.3f s", median) }
        return padded + String(format: "%7.3f s %7.3f s", median, high)
    }

    private static func narrate(_ step: OOMRound.Step) {
        let since = step.secondsSinceKill.map { String(format: "%+8.3f s", $0) } ?? "          "
        let chapter = step.chapter.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)
        say("\(dim(clock(step.nanoseconds)))  \(since)   \(bold(chapter, step.chapter)) \(step.what)")
    }

    /// 21:02:11.123
    private static func clock(_ nanoseconds: Int64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let milliseconds = Int(nanoseconds / 1_000_000 % 1_000)
        return String(format: "%02d:%02d:%02d.%03d", parts.tm_hour, parts.tm_min, parts.tm_sec, milliseconds)
    }

    private static let isTerminal = isatty(STDOUT_FILENO) == 1

    private static func dim(_ text: String) -> String { isTerminal ? "\u{1b}[2m\(text)\u{1b}[0m" : text }

    private static func bold(_ text: String, _ chapter: OOMRound.Chapter) -> String {
        guard isTerminal else { return text }
        let colour =
            switch chapter {
            case .scene: "0"
            case .trouble: "1;31"
            case .seen, .kept: "1;36"
            case .told: "1;33"
            case .healed: "1;32"
            }
        return "\u{1b}[\(colour)m\(text)\u{1b}[0m"
    }

    private static func say(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
