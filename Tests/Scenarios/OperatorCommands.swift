internal import Foundation
internal import ScenarioSupport
internal import Testing

/// What somebody on duty types beside a running server: it changes nothing it must not, and says what to do.
@Suite(.serialized) struct OperatorCommands {
    private func play(_ body: (VedetteProcess, ScratchFolder) async throws -> Void) async throws {
        let scratch = try ScratchFolder("operator")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        do {
            try await body(vedette, scratch)
        } catch {
            Issue.record("\(error)")
        }
        await vedette.stop()
    }

    @Test func inspectingALogChangesNothing() async throws {
        try await play { vedette, scratch in
            func push(_ line: String) async throws {
                let time = Int64(Date().timeIntervalSince1970 * 1e9)
                let reply = try await vedette.post(
                    "/loki/api/v1/push",
                    body: #"{"streams":[{"stream":{"app":"a"},"values":[["\#(time)","\#(line)"]]}]}"#)
                #expect(reply.status == 204, "\(reply.body)")
            }
            try await push("one")
            // As a write that is under way when somebody looks.
            let segment = scratch.file("data/logs/log/00000000000000000001.segment")
            let file = try #require(FileHandle(forUpdatingAtPath: segment))
            try file.seekToEnd()
            try file.write(contentsOf: [UInt8](repeating: 7, count: 100))
            let before = try Data(contentsOf: URL(fileURLWithPath: segment))
            let found = try ChildProcess.run(
                VedetteProcess.binary, ["inspect", "log", scratch.file("data/logs/log")])
            #expect(found.status == 0 && found.output.contains("1 segments"), "\(found.output)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: segment)) == before)
            try await push("two")
            #expect(try await vedette.lines("{app=\"a\"}") == ["one", "two"])
        }
    }

    @Test func whatIsNotThereIsNotCalledDamaged() async throws {
        try await play { vedette, scratch in
            for (kind, words) in [("block", "there is no block in"), ("part", "there is no part in")] {
                let found = try ChildProcess.run(VedetteProcess.binary, ["inspect", kind, vedette.dataFolder])
                #expect(found.status == 1 && found.output.contains(words), "\(found.output)")
                #expect(!found.output.contains("damaged"), "\(found.output)")
                let missing = try ChildProcess.run(VedetteProcess.binary, ["inspect", kind, scratch.file("nothing")])
                #expect(missing.status == 1 && missing.output.contains("no such file"), "\(missing.output)")
            }
            let log = try ChildProcess.run(VedetteProcess.binary, ["inspect", "log", vedette.dataFolder])
            #expect(log.status == 1 && log.output.contains("there is no segment of a log in"), "\(log.output)")
        }
    }

    @Test func silences() async throws {
        try await play { vedette, _ in
            #expect(try vedette.command("silences").output == "no silences\n")
            let made = try vedette.command(
                "silences", "add", "alertname=OOM", "service=~\"shop-.*\"", "--for", "2h", "--comment", "known",
                "--author", "me")
            let id = made.output.trimmingCharacters(in: .newlines)
            #expect(made.status == 0 && !id.isEmpty, "\(made.output)")
            let list = try vedette.command("silences", "list").output
            #expect(list.contains(#"alertname="OOM", service=~"shop-.*"  me  known"#), "\(list)")
            #expect(try vedette.command("silences", "end", id).status == 0)
            #expect(try vedette.command("silences").output == "no silences\n")
            #expect(try vedette.command("silences", "list", "--all").output.contains("expired"))
            let wrong = try vedette.command("silences", "add", "OOM", "--for", "2h", "--comment", "known")
            #expect(wrong.status == 2 && wrong.output.contains("write label=\"value\""), "\(wrong.output)")
            let everything = try vedette.command(
                "silences", "add", "alertname=~.*", "--for", "2h", "--comment", "known")
            #expect(everything.status == 1 && everything.output.contains("everything"), "\(everything.output)")
        }
    }
}
