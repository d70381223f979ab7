internal import ScenarioSupport
internal import Testing

/// Receivers that lie, stall and break off: each message arrives exactly once in the end, what happened meanwhile is
/// told, and nobody else waits for them.
@Suite(.serialized) struct MisbehavingProvider {
    /// Each way to misbehave, and what the delivery log must say of it.
    private static let ways: [(behaviour: WebhookProvider.Behaviour, words: String)] = [
        (.acceptWithError, "an error inside"), (.tooMany, "429"), (.html, "page"), (.halfBody, ""), (.hang, ""),
    ]

    @Test func everyMessageArrivesOnce() async throws {
        var options = ServerStage.Options()
        options.rules = ["trouble.yml": ServerStage.alwaysFiring("Trouble")]
        // Two bad answers each, so that there is time to look; the last receiver is well-behaved.
        options.providerScripts = MisbehavingProvider.ways.map { [$0.behaviour, $0.behaviour] } + [[]]
        try await ServerStage.play("liar", options) { stage in
            let good = stage.providers.count - 1
            await expectSoon("the well-behaved receiver is told") {
                stage.providers[good].accepted(status: "firing").count == 1
            }
            try await meanwhile(stage)
            await expectSoon(
                "all are told", seconds: 20, seen: { "\(stage.providers.map { $0.deliveries.map(\.wasAccepted) })" }
            ) {
                stage.providers.allSatisfy { $0.accepted(status: "firing").count == 1 }
            }
            try await afterwards(stage)
        }
    }

    /// While they misbehave: the API and the command line say who was not reached and why.
    private func meanwhile(_ stage: ServerStage) async throws {
        await expectSoon("those not reached are listed") {
            let list = try await stage.vedette.json("/api/v1/notifications")["data"]["notifications"].array
            let waiting = list.filter { $0["state"].string == "queued" }
            return waiting.count { $0["attempts"][0]["verdict"].string == "retry" } >= 3
        }
        let shown = try stage.vedette.command("alerts")
        #expect(shown.status == 0 && shown.output.contains("Trouble"), "\(shown.output)")
        #expect(shown.output.contains("chat0") && shown.output.contains("an error inside"), "\(shown.output)")
    }

    private func afterwards(_ stage: ServerStage) async throws {
        let list = try await stage.vedette.json("/api/v1/notifications")["data"]["notifications"].array
        let first = stage.providers.compactMap { $0.deliveries.first?.nanoseconds }.min() ?? 0
        for (index, provider) in stage.providers.enumerated() {
            let keys = Set(provider.deliveries.compactMap { $0.fields["idempotency-key"] })
            #expect(keys.count == 1, "chat\(index): a repeat carries the key of its first: \(keys)")
            #expect(provider.deliveries.count == (index < MisbehavingProvider.ways.count ? 3 : 1), "chat\(index)")
            #expect(Set(provider.deliveries.map(\.body)).count == 1, "chat\(index): the same words each time")
            // A stalled receiver holds its own lane only: everybody's first attempt comes at once.
            let delay = Double((provider.deliveries.first?.nanoseconds ?? 0) - first) / 1e9
            #expect(delay < 1, "chat\(index) waited \(delay) s for others")
            let entry = try #require(list.first { $0["receiver"].string == "chat\(index)" })
            #expect(entry["state"].string == "delivered", "\(entry)")
            #expect(entry["idempotencyKey"].string == keys.first, "\(entry)")
            guard index < MisbehavingProvider.ways.count else { continue }
            let attempts = entry["attempts"].array
            #expect(attempts.map { $0["verdict"].string } == ["retry", "retry", "accepted"], "\(entry)")
            let words = MisbehavingProvider.ways[index].words
            #expect(attempts[0]["detail"].string.contains(words) && !attempts[0]["detail"].string.isEmpty, "\(entry)")
        }
        let audit = try stage.vedette.offline("audit", "verify")
        #expect(audit.status == 0, "\(audit.output)")
    }
}
