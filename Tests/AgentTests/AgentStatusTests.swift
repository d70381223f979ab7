import Testing

@testable import Agent

/// The file behind `vedette agent status`.
@Suite struct AgentStatusTests {
    private var status: AgentStatusFile {
        var status = AgentStatusFile()
        status.node = "n\"1"
        status.server = "http://10.0.0.5:9797"
        status.certificate = "revoked: agent x was revoked at noon by root"
        status.isCertificateRefused = true
        status.serverTrouble = "it answered 403"
        status.kubernetes = "the API server answers: 3 pods"
        status.processIdentifier = 7
        status.writtenMilliseconds = 1_795_456_800_000
        status.intervalSeconds = 5
        status.step = 1
        status.isEngineAnswering = true
        status.found = ["docker": 3, "systemd": 40]
        status.samplesPerReading = 1_234
        status.readingSeconds = 0.0025
        status.queues = [
            AgentStatusFile.Queue(name: "samples", batches: 2, bytes: 4_096, oldestSeconds: 1.5),
            AgentStatusFile.Queue(name: "lines", batches: 0, bytes: 0, oldestSeconds: nil),
        ]
        status.dropped = ["lines given up by a full spool": 9]
        status.blindSpots = [("OOM records", "/dev/kmsg: Permission denied", "run as root")]
        return status
    }

    @Test func whatIsWrittenIsRead() throws {
        let read = try AgentStatusFile(decoding: status.encoded)
        #expect(read == status)
        #expect(read.queues[1].oldestSeconds == nil)
        #expect(read.isCertificateRefused && read.certificate.hasPrefix("revoked"))
        #expect(read.serverTrouble == "it answered 403")
        #expect(read.kubernetes == "the API server answers: 3 pods")
        #expect(read.blindSpots.map(\.what) == ["OOM records"])
    }

    @Test func aRevocationIsKnownByTheServersWords() {
        let word = ServerWord()
        #expect(word.trouble == nil && !word.isRevocation)
        word.set("it answered 403: agent a was revoked at 2026-11-23T08:00:00Z by root. A node that …")
        #expect(word.isRevocation)
        word.set("connect: connection refused")
        #expect(!word.isRevocation)
        word.set(nil)
        #expect(word.trouble == nil)
    }

    @Test func anotherVersionsFileIsReadAsFarAsItGoes() throws {
        let read = try AgentStatusFile(decoding: Array("{\"node\":\"a\",\"later\":[1],\"found\":{\"x\":2}}".utf8))
        #expect(read.node == "a")
        #expect(read.found == ["x": 2])
        #expect(throws: (any Error).self) { try AgentStatusFile(decoding: Array("{\"node\":".utf8)) }
    }

    @Test func aHostWithoutCgroupsSaysSo() {
        let host = HostRoot("/nowhere")
        let spots = BlindSpots(host: host, layout: CgroupLayout(of: host), engineSocket: "/none").find()
        #expect(spots.contains { $0.what == "containers" && !$0.remedy.isEmpty })
    }

    @Test func aKernelWithoutPressureIsNamed() {
        let host = Fixture.host("v1-joined")
        let spots = BlindSpots(host: host, layout: CgroupLayout(of: host), engineSocket: "/none").find()
        #expect(spots.map(\.what) == ["pressure (PSI)"])
    }
}
