internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// Two containers write 36 MB in bursts while their logs are rotated every second, the older files compressed and the
/// oldest removed, as a kubelet and Docker do; agent and server are SIGKILLed in between. Every line has its number:
/// none is lost, none is stored twice.
///
/// `VEDETTE_TORTURE_KILLS=100` kills that often; the figures of such a run are in docs/performance.md.
@Suite(.serialized) struct RotationTorture {
    private static let burstBytes = 36 << 20
    private static let lineBytes = 512

    /// Writes numbered lines in an engine's format and rotates.
    private final class Writer: @unchecked Sendable {
        let path: String
        private let isDocker: Bool
        private(set) var lines = 0
        private var rotations = 0
        private let pad = String(repeating: "x", count: RotationTorture.lineBytes - 24)

        init(path: String, isDocker: Bool) {
            self.path = path
            self.isDocker = isDocker
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }

        /// Adds about so many bytes.
        func write(bytes: Int) {
            guard let file = fopen(path, "a") else { return }
            defer { fclose(file) }
            let time = Date().ISO8601Format(.init(includingFractionalSeconds: true))
            for _ in 0..<(bytes / RotationTorture.lineBytes) {
                lines += 1
                let digits = String(lines)
                let text = "seq=\(String(repeating: "0", count: 9 - digits.count))\(digits) \(pad)"
                fputs(
                    isDocker
                        ? #"{"log":"\#(text)\n","stream":"stdout","time":"\#(time)"}"# + "\n"
                        : "\(time) stdout F \(text)\n", file)
            }
        }

        /// Renames the file, begins another one, compresses the one before, and keeps five.
        func rotate() throws {
            rotations += 1
            let name = { (number: Int) in
                self.isDocker ? "\(self.path).\(number)" : "\(self.path).20260101-\(100_000 + self.rotations - number)"
            }
            if isDocker {
                for number in stride(from: 4, through: 1, by: -1) {
                    for end in ["", ".gz"] { rename("\(path).\(number)\(end)", "\(path).\(number + 1)\(end)") }
                }
            } else {
                unlink(name(6))
                unlink("\(name(6)).gz")
            }
            rename(path, name(1))
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            if access(name(2), F_OK) == 0 { try ChildProcess.run("gzip", ["-1", "-f", name(2)]) }
        }
    }

    @Test func nothingIsLostAndNothingTwice() async throws {
        let kills = ProcessInfo.processInfo.environment["VEDETTE_TORTURE_KILLS"].flatMap { Int($0) } ?? 4
        let scratch = try ScratchFolder("torture")
        defer { scratch.remove() }
        let docker = Writer(path: scratch.file("docker.log"), isDocker: true)
        let cri = Writer(path: scratch.file("cri.log"), isDocker: false)
        let server = try await VedetteProcess("server", dataFolder: scratch.file("server"))
        let configuration = try scratch.write(
            "agent.yml",
            """
            agent:
              logs:
                files:
                  - {path: "\(docker.path)", format: docker, labels: {service: docker}}
                  - {path: "\(cri.path)", format: cri, labels: {service: cri}}

            """)
        let start = { (run: Int) in
            try ChildProcess(
                VedetteProcess.binary,
                [
                    "agent", "--server", "http://127.0.0.1:\(server.port)", "--data", scratch.file("agent"),
                    "--config", configuration, "--docker", scratch.file("no.sock"),
                ], logPath: scratch.file("agent-\(run).log"))
        }
        var agent = try start(0)
        await expectSoon("the agent follows both logs", seconds: 20) {
            docker.write(bytes: Self.lineBytes)
            cri.write(bytes: Self.lineBytes)
            let counts = [try await count("docker", in: server), try await count("cri", in: server)]
            return counts.allSatisfy { $0 > 0 }
        }
        var generator = SystemRandomNumberGenerator()
        for kill in 0..<kills {
            let second = Date()
            docker.write(bytes: Self.burstBytes / 2)
            cri.write(bytes: Self.burstBytes / 2)
            try? await Task.sleep(nanoseconds: UInt64.random(in: 0...300_000_000, using: &generator))
            if kill % 2 == 0 {
                agent.signal(SIGKILL)
                #expect(await agent.waitForEnd(seconds: 10))
                agent = try start(kill + 1)
            } else {
                await server.kill()
                try await server.restart()
            }
            let rest = 1 - Date().timeIntervalSince(second)
            if rest > 0 { try await Task.sleep(nanoseconds: UInt64(rest * 1e9)) }
            try docker.rotate()
            try cri.rotate()
        }
        for writer in [(docker, "docker"), (cri, "cri")] {
            await expectSoon(
                "all \(writer.0.lines) lines of \(writer.1) are stored", seconds: 120,
                seen: { "\(try await count(writer.1, in: server))\n\(agent.output.suffix(2_000))" }
            ) { try await count(writer.1, in: server) >= writer.0.lines }
        }
        for writer in [(docker, "docker"), (cri, "cri")] { try await check(writer.0, writer.1, server) }
        let lost = try await server.json(
            "/loki/api/v1/query", ["query": "sum(count_over_time({source=\"vedette\"} |= \"are lost\"[1h]))"])
        #expect(lost["data"]["result"].array.isEmpty)
        await agent.stop()
        await server.stop()
    }

    private func count(_ service: String, in server: VedetteProcess) async throws -> Int {
        let answer = try await ask("sum(count_over_time({service=\"\(service)\"}[2h]))", server)
        return Int(answer["data"]["result"][0]["value"][1].string) ?? 0
    }

    /// Millions of lines on a busy machine take their time.
    private func ask(_ query: String, _ server: VedetteProcess) async throws -> JSONTree {
        try await server.json("/loki/api/v1/query", ["query": query], timeoutMilliseconds: 120_000)
    }

    /// Every thousand lines are a thousand, and all numbers add up.
    private func check(_ writer: Writer, _ service: String, _ server: VedetteProcess) async throws {
        let stored = try await count(service, in: server)
        #expect(stored == writer.lines, "\(service)")
        let thousands = try await ask(
            "sum by (k) (count_over_time({service=\"\(service)\"} | regexp `seq=(?P<k>[0-9]{6})` [2h]))", server)
        var wrong: [String] = []
        for element in thousands["data"]["result"].array {
            let k = Int(element["metric"]["k"].string) ?? -1
            let wanted = (k * 1000...k * 1000 + 999).count { $0 >= 1 && $0 <= writer.lines }
            if Int(element["value"][1].string) != wanted { wrong.append("\(k): \(element["value"][1].string)") }
        }
        #expect(wrong.isEmpty, "\(service): \(wrong.prefix(10))")
        let sum = try await ask(
            "sum(sum_over_time({service=\"\(service)\"} | regexp `seq=0*(?P<n>[0-9]+)` | unwrap n [2h]))", server)
        #expect(
            sum["data"]["result"][0]["value"][1].number == Double(writer.lines) * Double(writer.lines + 1) / 2,
            "\(service): \(sum)")
    }
}
