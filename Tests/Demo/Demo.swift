internal import Foundation
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
        say("setting the stage: a Docker daemon of its own, a webhook listener, vedette up")
        let stage = try await HealingStage.set("demo")
        var failure: (any Error)?
        var played: [OOMRound] = []
        do {
            for round in 1...rounds {
                if rounds > 1 { say("round \(round)") }
                played.append(try await OOMRound.play(on: stage, name: "web\(round)", narrate: narrate))
            }
            try await closing(stage, played)
        } catch {
            failure = error
            say(String(stage.vedette.process.output.suffix(4_000)))
        }
        await stage.strike()
        if let failure { throw failure }
    }

    private static func closing(_ stage: HealingStage, _ played: [OOMRound]) async throws {
        let audit = try ChildProcess.run(
            VedetteProcess.binary, ["audit", "verify", "--data", stage.vedette.dataFolder])
        say("audit: " + audit.output.trimmingCharacters(in: .whitespacesAndNewlines))
        say("")
        say("from the kernel's kill            median      p99")
        say(row("to the webhook", played.map(\.secondsToWebhook)))
        say(row("to the restarted container", played.map(\.secondsToRestart)))
    }

    private static func row(_ what: String, _ seconds: [Double]) -> String {
        let sorted = seconds.sorted()
        let median = sorted[sorted.count / 2]
        let high = sorted[min(sorted.count - 1, Int((Double(sorted.count) * 0.99).rounded(.up)) - 1)]
        let padded = what.padding(toLength: 30, withPad: " ", startingAt: 0)
        return "\(padded)  " + String(format: "%7.3f s  %7.3f s", median, high)
    }

    private static let narrate: OOMRound.Narrator = { what, seconds in
        let time = seconds.map { String(format: "%+9.3f s", $0) } ?? "           "
        say("\(time)  \(what)")
    }

    private static func say(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
