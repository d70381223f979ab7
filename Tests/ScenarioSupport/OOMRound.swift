internal import Foundation

/// One round of the story: a container runs into its memory limit, and everything that follows is awaited over HTTP.
package struct OOMRound: Sendable {
    /// The container's name and immutable id.
    package let name: String
    package let id: String
    /// When the kernel killed it, by its own record.
    package let killedNanoseconds: Int64
    /// When the provider had read the whole firing message.
    package let toldNanoseconds: Int64
    /// When the container ran again, by the engine's own record.
    package let restartedNanoseconds: Int64
    /// When the resolved message arrived.
    package let resolvedNanoseconds: Int64

    package var secondsToWebhook: Double { Double(toldNanoseconds - killedNanoseconds) / 1e9 }
    package var secondsToRestart: Double { Double(restartedNanoseconds - killedNanoseconds) / 1e9 }

    /// What a step of the story is an example of.
    package enum Chapter: String, Sendable {
        case scene
        case trouble
        case seen
        case kept
        case told
        case healed
    }

    /// One step of the story, by the clock of whoever knows best: the kernel, the engine, the provider, the server.
    package struct Step: Sendable {
        package let chapter: Chapter
        package let what: String
        /// Nanoseconds since 1970.
        package let nanoseconds: Int64
        /// Nil before the kill.
        package let secondsSinceKill: Double?
    }

    /// Called as the story goes on.
    package typealias Narrator = @Sendable (Step) -> Void

    /// Plays one round on a stage. Throws `ScenarioError` naming the step that did not happen.
    package static func play(
        on stage: HealingStage, name: String, narrator: @escaping Narrator = { _ in }
    ) async throws -> OOMRound {
        let teller = Teller(narrator)
        let kernel = try KernelLog()
        let id = try stage.engine.runContainer(name: name, memoryMegabytes: 32, script: HealingStage.leakingScript)
        teller.tell(.scene, "container \(name) runs with a memory limit of 32 MiB")
        let counter = "container_oom_events_total{name=\"\(name)\"}"
        try await expect("the OOM counter exists with 0", 15) {
            try await stage.vedette.instant(counter).first?.value == 0
        }
        teller.tell(.seen, "its OOM counter is there before anything happens, and is 0")
        teller.flush()
        let startedBefore = try stage.engine.inspect(name, "{{.State.StartedAt}}")
        try stage.engine.docker("exec", "-d", name, "touch", "/go")

        var killed: Int64?
        try await expect("the kernel kills it", 30) {
            killed = kernel.kills().first { $0.cgroup.contains(id) }?.nanoseconds ?? killed
            return killed != nil
        }
        guard let killed else { throw ScenarioError("unreachable: the kill was awaited") }
        teller.killedNanoseconds = killed
        teller.tell(.trouble, "the kernel kills it: out of memory", at: killed)

        var told: Int64?
        try await expect("one firing message arrives", 30) {
            told = stage.provider.accepted(status: "firing").first { $0.body.contains(id) }?.nanoseconds
            return told != nil
        }
        let toldAt = told ?? 0
        teller.tell(.told, "the webhook is called: \(try summary(stage, "firing", id))", at: toldAt)

        var restarted = ""
        try await expect("the container runs again", 30) {
            restarted = try stage.engine.inspect(name, "{{.State.StartedAt}}|{{.State.Running}}")
            return restarted.hasSuffix("|true") && !restarted.hasPrefix(startedBefore)
        }
        let restartedAt = try nanoseconds(rfc3339: restarted.split(separator: "|").first.map(String.init) ?? "")
        teller.tell(.healed, "the container runs again, restarted by the agent", at: restartedAt)

        try await expect("its last words are stored", 20) {
            try await stage.vedette.lines("{container=\"\(name)\"} |= \"last words\"").contains("last words: leaking")
        }
        teller.tell(.kept, "its last words, which had no line end, are on disk: \"last words: leaking\"")
        try await teller.tell(actionFor: id, on: stage)
        teller.flush()

        var resolved: Int64?
        try await expect("one resolved message arrives", 60) {
            resolved = stage.provider.accepted(status: "resolved").first { $0.body.contains(id) }?.nanoseconds
            return resolved != nil
        }
        teller.tell(.told, "the webhook is called: \(try summary(stage, "resolved", id))", at: resolved ?? killed)
        try await expect("the action is verified", 30) {
            let found = try await action(for: id, on: stage)
            guard found?["state"].string == "verified" else {
                throw ScenarioError("the action is \(found?.description ?? "absent")")
            }
            return true
        }
        try await teller.tell(actionFor: id, on: stage)
        teller.flush()
        return OOMRound(
            name: name, id: id, killedNanoseconds: killed, toldNanoseconds: toldAt,
            restartedNanoseconds: restartedAt, resolvedNanoseconds: resolved ?? 0)
    }

    /// What a message about a container said: "[firing] SUMMARY".
    private static func summary(_ stage: HealingStage, _ status: String, _ id: String) throws -> String {
        let message = stage.provider.accepted(status: status).first { $0.body.contains(id) }
        let alert = try JSONTree(message?.body ?? "{}")["alerts"][0]
        return "[\(status)] \(alert["annotations"]["summary"].string)"
    }

    /// The record of the action taken on a container; nil when there is none yet.
    package static func action(for id: String, on stage: HealingStage) async throws -> JSONTree? {
        let history = try await stage.vedette.json("/api/v1/remedies/history")
        let actions = history["data"]["actions"].array.filter { $0["target"].string == id }
        return actions.first { $0["state"].string == "verified" } ?? actions.first
    }

    private static func expect(_ what: String, _ seconds: Double, _ condition: () async throws -> Bool) async throws {
        var last: (any Error)?
        let held = await eventually(seconds: seconds) {
            do {
                return try await condition()
            } catch {
                last = error
                return false
            }
        }
        guard held else {
            throw ScenarioError("within \(seconds) s it did not happen that \(what)\(last.map { ": \($0)" } ?? "")")
        }
    }

    /// Nanoseconds since 1970 of "2026-11-23T08:33:03.696303732Z".
    package static func nanoseconds(rfc3339 text: String) throws -> Int64 {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime]
        let parts = text.split(whereSeparator: { $0 == "." || $0 == "Z" }).map(String.init)
        guard let seconds = parts.first, let date = formatter.date(from: seconds + "Z") else {
            throw ScenarioError("not a time: \(text)")
        }
        let fraction = parts.count > 1 ? (parts[1] + "000000000").prefix(9) : "0"
        return Int64(date.timeIntervalSince1970) * 1_000_000_000 + (Int64(fraction) ?? 0)
    }
}
