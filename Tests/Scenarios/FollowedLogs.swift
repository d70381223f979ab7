internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// A tail outlives its server: after a crash it goes on where it was, and every line is shown once.
@Suite(.serialized) struct FollowedLogs {
    @Test(arguments: [SIGTERM, SIGKILL])
    func overARestart(signal: Int32) async throws {
        let scratch = try ScratchFolder("tail")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let tail = try ChildProcess(
            VedetteProcess.binary,
            [
                "logs", "tail", "{app=\"web\"}", "-n", "0", "-o", "raw", "--server", "http://127.0.0.1:\(vedette.port)",
            ], logPath: scratch.file("tail.log"))
        func shown() -> [String] {
            tail.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("line ") }
        }
        // Its first line says that the tail is there; until then it may have missed some.
        await expectSoon("the tail shows a line", seen: { tail.output }) {
            try await FollowedLogs.push("begin", to: vedette)
            return tail.output.contains("begin")
        }
        for number in 0..<50 { try await FollowedLogs.push("line \(number)", to: vedette) }
        await expectSoon("the first half is shown", seen: { tail.output }) { shown().count >= 50 }
        vedette.process.signal(signal)
        #expect(await vedette.process.waitForEnd(seconds: 15))
        try await vedette.restart()
        for number in 50..<100 { try await FollowedLogs.push("line \(number)", to: vedette) }
        await expectSoon("the second half is shown", seconds: 20, seen: { tail.output }) { shown().count >= 100 }
        #expect(shown() == (0..<100).map { "line \($0)" })
        #expect(tail.output.contains("the server is there again"), "\(tail.output)")
        await tail.stop()
        await vedette.stop()
    }

    /// A reader that stood still while the server let go of what it had not taken is told so, fetches it, and shows
    /// every line once.
    @Test func whatAStoppedReaderMissedIsFetched() async throws {
        let scratch = try ScratchFolder("stopped")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let tail = try ChildProcess(
            VedetteProcess.binary,
            [
                "logs", "tail", "{app=\"web\"}", "-n", "0", "-o", "raw", "--server", "http://127.0.0.1:\(vedette.port)",
            ], logPath: scratch.file("tail.log"))
        await expectSoon("the tail shows a line", seen: { tail.output }) {
            try await FollowedLogs.push("begin", to: vedette)
            return tail.output.contains("begin")
        }
        tail.signal(SIGSTOP)
        // Far more than sockets and the server's memory for tails hold together.
        let filling = String(repeating: "x", count: 120)
        for batch in 0..<200 {
            try await FollowedLogs.push((0..<1000).map { "line \(batch * 1000 + $0) \(filling)" }, to: vedette)
        }
        tail.signal(SIGCONT)
        try await FollowedLogs.push("end", to: vedette)
        await expectSoon("all lines are shown", seconds: 60, seen: { String(tail.output.suffix(2_000)) }) {
            tail.output.hasSuffix("end\n")
        }
        let shown = tail.output.split(separator: "\n").filter { $0.hasPrefix("line ") }.compactMap { line in
            Int(line.dropFirst(5).prefix { $0 != " " })
        }
        #expect(shown.count == 200_000 && shown.sorted() == Array(0..<200_000), "\(shown.count) lines")
        let metrics = try await vedette.get("/metrics").body
        let missed = metrics.split(separator: "\n").first { $0.hasPrefix("vedette_logs_tail_missed_lines_total") }
        #expect(missed.map { !$0.hasSuffix(" 0") } == true, "no gap was told: \(missed ?? "no such metric")")
        await tail.stop()
        await vedette.stop()
    }

    private static func push(_ line: String, to vedette: VedetteProcess) async throws {
        try await push([line], to: vedette)
    }

    /// Lines of now, a nanosecond apart.
    private static func push(_ lines: [String], to vedette: VedetteProcess) async throws {
        let nanoseconds = Int64(Date().timeIntervalSince1970 * 1e9)
        let values = lines.enumerated().map { #"["\#(nanoseconds + Int64($0.offset))","\#($0.element)"]"# }
        let body = #"{"streams":[{"stream":{"app":"web"},"values":[\#(values.joined(separator: ","))]}]}"#
        let (status, answer) = try await vedette.post("/loki/api/v1/push", body: body)
        guard status == 204 else { throw ScenarioError("\(status) \(answer)") }
    }

    /// The canary writes, follows and reads back; its verdict is its exit status.
    @Test func theCanarySings() async throws {
        let scratch = try ScratchFolder("canary")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let (status, output) = try vedette.command(
            "logs", "canary", "--duration", "2s", "--interval", "20ms", "--late", "10s")
        #expect(status == 0 && output.contains("written             100"), "\(output)")
        await vedette.stop()
    }

    /// What a person at a terminal asks after a fault.
    @Test func theCommandLineFindsAFault() async throws {
        let scratch = try ScratchFolder("logs")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let base = Int64(Date().timeIntervalSince1970) * 1_000_000_000
        // An hour and a half ago all was well; a minute ago it was not.
        var values: [String] = []
        for number in 0..<600 {
            values.append(
                #"["\#(base - 5_400_000_000_000 + Int64(number) * 1_000_000_000)","request \#(number) done"]"#)
        }
        for number in 0..<60 {
            values.append(#"["\#(base - 60_000_000_000 + Int64(number) * 1_000_000)","request \#(number) done"]"#)
        }
        let trace = ["ERROR cannot pay", "java.io.IOException: db7 is gone", "\\tat shop.Pay.pay(Pay.java:3)"]
        for (index, line) in trace.enumerated() {
            values.append(#"["\#(base - 30_000_000_000 + Int64(index) * 1_000)","\#(line)"]"#)
        }
        let body = #"{"streams":[{"stream":{"container":"shop"},"values":[\#(values.joined(separator: ","))]}]}"#
        let (status, answer) = try await vedette.post("/loki/api/v1/push", body: body)
        #expect(status == 204, "\(answer)")
        let difference = try vedette.command("logs", "diff", "--baseline", "1h..2h", "--window", "10m")
        let first = difference.output.split(separator: "\n").dropFirst().first.map(String.init) ?? ""
        #expect(difference.status == 0 && first.hasPrefix("new ") && first.contains("error"), "\(difference.output)")
        let event = try vedette.command(
            "logs", "search", "--container", "shop", "IOException", "cannot", "--events", "-o", "raw")
        #expect(
            event.output.contains("ERROR cannot pay\njava.io.IOException: db7 is gone\n\tat shop"), "\(event.output)")
        let count = try vedette.command("logs", "search", "request", "-c", "--since", "3h")
        #expect(count.output == "660\n", "\(count.output)")
        let around = try vedette.command("logs", "search", "-e", "db\\d is", "-B", "1", "-o", "raw", "--level", "trace")
        #expect(around.status == 0, "\(around.output)")
        let wrong = try vedette.command("logs", "search", "-e", "a(b")
        #expect(wrong.status == 1 && wrong.output.contains("missing closing )"), "\(wrong.output)")
        for command in [["patterns"], ["stats"], ["stats", "--by", "level"], ["search", "--by", "time"]] {
            let (status, output) = try ChildProcess.run(
                VedetteProcess.binary, ["logs"] + command + ["--server", "http://127.0.0.1:\(vedette.port)"])
            #expect(status == 0 && output.contains("lines"), "\(command): \(output)")
        }
        await vedette.stop()
    }
}
