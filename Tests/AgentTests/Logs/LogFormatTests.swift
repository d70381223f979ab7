import Telemetry
import TestSupport
import Testing

@testable import Agent

/// One line of a file becomes a record, or is none.
@Suite struct LogFormatTests {
    private static func parse(_ format: some LogFormat, _ line: String) -> (record: LogRecord, text: String)? {
        var text: [UInt8] = []
        let record = Array(line.utf8).withUnsafeBytes { format.parse($0, into: &text) }
        return record.map { ($0, String(decoding: text, as: UTF8.self)) }
    }

    @Test func dockersRecordsHaveEscapesAttributesAndAnyOrder() throws {
        let line =
            #"{"time":"2026-11-23T08:33:03.696303732Z","attrs":{"a":["}"]},"stream":"stderr","log":"t\u00e4\t\"x\"\n"}"#
        let (record, text) = try #require(Self.parse(DockerJSONFormat(), line))
        #expect(record.stream == .standardError)
        #expect(record.nanoseconds.map { $0 % 1_000_000_000 } == 696_303_732)
        #expect(record.ending == .complete)
        #expect(text == "tä\t\"x\"")
    }

    @Test func aPieceThatFillsDockersBufferIsFollowedByOthersAndAShorterOneIsTheLast() throws {
        let full = String(repeating: "a", count: DockerJSONFormat.bufferBytes)
        #expect(Self.parse(DockerJSONFormat(), #"{"log":"\#(full)","time":""}"#)?.record.ending == .partial)
        #expect(Self.parse(DockerJSONFormat(), #"{"log":"panic","time":""}"#)?.record.ending == .last)
        #expect(Self.parse(DockerJSONFormat(), #"{"log":"\#(full)\n","time":""}"#)?.record.ending == .complete)
    }

    @Test(arguments: ["", "{", "null", #"{"log":"x"#, #"{"other":1}"#, #"{"log":1}"#, #"{"log":"a","time":"b"} x"#])
    func whatIsNoRecordOfDockersIsRefused(_ line: String) {
        #expect(Self.parse(DockerJSONFormat(), line) == nil)
    }

    @Test(arguments: [
        ("2026-11-23T08:54:30.803356441Z stdout F out 1", "out 1", LogRecord.Ending.complete, LogStream.standardOutput),
        ("2026-11-23T08:52:20.143037752+00:00 stdout P part", "part", .partial, .standardOutput),
        ("2026-11-23T08:52:20.1+08:00 stderr F  two blanks ", " two blanks ", .complete, .standardError),
        ("2026-11-23T08:52:20Z stderr F ", "", .complete, .standardError),
        ("2026-11-23T08:52:20Z stderr F", "", .complete, .standardError),
        ("2026-11-23T08:52:20Z stdout P:x:y tags", "tags", .partial, .standardOutput),
    ])
    func theRecordsOfCRIAndConmon(_ line: String, _ text: String, _ ending: LogRecord.Ending, _ stream: LogStream) {
        let parsed = Self.parse(CRIFormat(), line)
        #expect(parsed?.text == text)
        #expect(parsed?.record.ending == ending)
        #expect(parsed?.record.stream == stream)
        #expect(parsed?.record.nanoseconds != nil)
    }

    @Test(arguments: [
        "", "text", "2026-11-23T08:54:30Z", "2026-11-23T08:54:30Z stdout", "2026-11-23T08:54:30Z stdin F x",
        "2026-11-23T08:54:30Z stdout X x", "2026-11-23T08:54:30Z stdout Fx x", "yesterday stdout F x",
        "2026-11-23T08:54:30Z stdout  x",
    ])
    func whatIsNoRecordOfCRIIsRefused(_ line: String) {
        #expect(Self.parse(CRIFormat(), line) == nil)
    }

    @Test func theZoneOfConmonsTimesCounts() {
        let east = Self.parse(CRIFormat(), "2026-11-23T16:00:00+08:00 stdout F x")?.record.nanoseconds
        #expect(east == Self.parse(CRIFormat(), "2026-11-23T08:00:00Z stdout F x")?.record.nanoseconds)
    }

    @Test func aPlainLineIsItselfWithoutACarriageReturn() {
        #expect(Self.parse(PlainFormat(), "any text\r")?.text == "any text")
        #expect(Self.parse(PlainFormat(), "")?.text == "")
    }

    @Test(arguments: [
        (["a.log", "a.log.1", "a.log.10", "a.log.2.gz"], "a.log", ["a.log.10", "a.log.2.gz", "a.log.1"]),
        (
            ["0.log", "0.log.20260102-030405.gz", "0.log.20260103-000000", "0.log.20260103-000000.tmp", "10.log"],
            "0.log", ["0.log.20260102-030405.gz", "0.log.20260103-000000"]
        ),
        (["m", "m-20260102", "m-20260101.gz", "m-x", "m.1.bak", "mm.1"], "m", ["m-20260101.gz", "m-20260102"]),
    ])
    func whatWasRotatedAwayIsKnownByItsNameOldestFirst(_ names: [String], _ base: String, _ rotated: [String]) {
        #expect(RotatedFiles.ordered(names, base: base).map(\.path) == rotated)
    }

    @Test(arguments: [
        ("default_web-7d4b9c8f6d-x2lqz_0d6f", "web"), ("default_db-0_1", "db"),
        ("kube-system_fluent-4xk2c_2", "fluent"),
        ("default_plain_3", "plain"), ("default_my-queue-reader_4", "my-queue-reader"),
    ])
    func aPodsFolderNamesItsWorkload(_ folder: String, _ workload: String) {
        #expect(PodLogFolder(folder).map { PodName.workload($0.pod) } == workload)
    }
}
