internal import Foundation
internal import ScenarioSupport
internal import Testing

/// The audit log, tampered with: a record removed, a record changed, the whole file gone. `audit verify` says where.
@Suite(.serialized) struct AuditCut {
    @Test func tamperingIsNamed() async throws {
        var options = ServerStage.Options()
        options.rules = ["trouble.yml": ServerStage.alwaysFiring("Trouble")]
        try await ServerStage.play("audit", options) { stage in
            let log = "\(stage.vedette.dataFolder)/alerting/audit.log"
            await expectSoon("the delivery is on record") {
                try String(contentsOfFile: log, encoding: .utf8).contains("notification.delivered")
            }
            await stage.vedette.stop()

            let whole = try String(contentsOfFile: log, encoding: .utf8)
            let lines = whole.split(separator: "\n").map(String.init)
            #expect(lines.count >= 2, "\(lines)")
            try expectVerdict(stage, 0, "\(lines.count) records hold")

            // Each record in turn: one byte of its middle changed.
            for index in lines.indices {
                var changed = lines.map { Array($0.utf8) }
                changed[index][changed[index].count / 2] ^= 1
                try Data(changed.joined(separator: [10])).write(to: URL(fileURLWithPath: log))
                try expectVerdict(stage, 1, "line \(index + 1)")
            }
            // A record in the middle removed, then the last one.
            var shortened = lines
            shortened.remove(at: lines.count / 2 - 1)
            try (shortened.joined(separator: "\n") + "\n").write(toFile: log, atomically: true, encoding: .utf8)
            try expectVerdict(stage, 1, "line \(lines.count / 2)")
            try (lines.dropLast().joined(separator: "\n") + "\n").write(toFile: log, atomically: true, encoding: .utf8)
            try expectVerdict(stage, 1, "line \(lines.count): the end of the log was cut off")
            // Cut in the middle of the last record.
            try String(whole.dropLast(20)).write(toFile: log, atomically: true, encoding: .utf8)
            try expectVerdict(stage, 1, "line \(lines.count)")
            try FileManager.default.removeItem(atPath: log)
            try expectVerdict(stage, 1, "no audit log")

            try whole.write(toFile: log, atomically: true, encoding: .utf8)
            try expectVerdict(stage, 0, "\(lines.count) records hold")
        }
    }

    private func expectVerdict(_ stage: ServerStage, _ status: Int32, _ words: String) throws {
        let verdict = try stage.vedette.offline("audit", "verify")
        #expect(verdict.status == status && verdict.output.contains(words), "wanted \(words): \(verdict)")
    }
}
