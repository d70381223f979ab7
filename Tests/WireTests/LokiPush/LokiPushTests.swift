internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

@Suite struct LokiPushTests {
    func parse(_ text: String, limits: LokiPushLimits = .init()) throws -> LokiPush {
        try LokiPushJSON.parse(Array(text.utf8), limits: limits)
    }

    @Test func readsStreamsWithStructuredMetadata() throws {
        let push = try parse(
            #"""
            {"streams": [
              {"stream": {"job": "a", "n": 5},
               "values": [
                 ["1700000000000000001", "one \"q\""],
                 ["1700000000000000002", "two", {"trace_id": "0f", "x": null}]
               ]},
              {"values": [["3", "before its labels"], ["4", ""]], "stream": {"job": "b"}}
            ], "more": [1]}
            """#)
        #expect(push.rejections.isEmpty)
        #expect(push.batch.streams.map(\.labels) == [Labels(["job": "a", "n": "5"]), Labels(["job": "b"])])
        let first = push.batch.streams[0]
        #expect(first.timesNanoseconds == [1_700_000_000_000_000_001, 1_700_000_000_000_000_002])
        #expect(Array(first.line(0)) == Array("one \"q\"".utf8))
        #expect(first.metadata == [LogLineMetadata(lineIndex: 1, labels: Labels(["trace_id": "0f"]))])
        #expect(push.batch.streams[1].line(1).isEmpty)
    }

    @Test func refusesStreamsInLokisWordsAndKeepsTheRest() throws {
        var limits = LokiPushLimits()
        limits.lineBytes = 4
        limits.labelNames = 2
        limits.labelValueBytes = 8
        let push = try parse(
            #"""
            {"streams": [
              {"stream": {}, "values": [["1", "a"]]},
              {"stream": {"a-b": "c"}, "values": [["1", "a"], ["2", "b"]]},
              {"stream": {"a": "1", "b": "2", "c": "3"}, "values": [["1", "a"]]},
              {"stream": {"a": "123456789"}, "values": [["1", "a"]]},
              {"stream": {"a": "ok"}, "values": [["1", "12345"], ["2", "1234"], ["3", "123456"], ["4", "\u0031234"]]}
            ]}
            """#, limits: limits)
        #expect(push.batch.streams.map(\.labels) == [Labels(["a": "ok"])])
        #expect(push.batch.lineCount == 2)
        #expect(
            push.rejections.map(\.reason) == [
                "error at least one label pair is required per stream",
                #"error parsing labels '{a-b="c"}': invalid label name "a-b""#,
                #"entry for stream '{a="1", b="2", c="3"}' has 3 label names; limit 2"#,
                #"stream '{a="123456789"}' has label value too long: '123456789'"#,
                #"max entry size '4' bytes exceeded for stream '{a="ok"}' while adding an entry with length '5' bytes"#,
                #"max entry size '4' bytes exceeded for stream '{a="ok"}' while adding an entry with length '6' bytes"#,
            ])
        #expect(push.rejections.map(\.lines) == [1, 2, 1, 1, 1, 1])
    }

    @Test(arguments: [
        ("", "couldn't parse push request: byte 0: text ends where an object should be"),
        (
            "{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"x\",\"l\"]]}]}",
            "couldn't parse push request: byte 43: a timestamp that is not whole nanoseconds since 1970"
        ),
        ("{\"streams\":[{\"values\":[[\"1\"]]}]}", "couldn't parse push request: byte 28: an entry without a line"),
        ("{\"streams\":[{\"values\":[[]]}]}", "couldn't parse push request: byte 25: an entry without a timestamp"),
        (
            "{\"streams\":[{\"values\":[[\"1\",\"l\",{},1]]}]}",
            "couldn't parse push request: byte 35: an entry of more than three elements"
        ),
        ("{\"streams\":[{\"stream\":{\"a\":{}}}]}", "couldn't parse push request: byte 27: label \"a\" is no string"),
    ])
    func saysWhatIsWrongWithABody(text: String, words: String) {
        #expect(throws: LokiPushError(description: words)) { try parse(text) }
    }

    @Test func nothingToStoreIsNoError() throws {
        #expect(try parse("{}").batch.streams.isEmpty)
        #expect(try parse(#"{"streams":null}"#).batch.streams.isEmpty)
        #expect(try parse(#"{"streams":[{"stream":{"a":"b"},"values":[]}]}"#).batch.streams.isEmpty)
    }

    @Test func keepsBytesThatAreNotUTF8() throws {
        var body = Array(#"{"streams":[{"stream":{"a":"b"},"values":[["1","#.utf8)
        body += [0x22, 0xff, 0xfe, 0x22]
        body += Array("]]}]}".utf8)
        let push = try LokiPushJSON.parse(body)
        #expect(Array(push.batch.streams[0].line(0)) == [0xff, 0xfe])
    }

    @Test func boundsLinesAndStreams() {
        var limits = LokiPushLimits()
        limits.lines = 1
        limits.streams = 1
        #expect(throws: LokiPushError.self) {
            try parse(#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["1","y"]]}]}"#, limits: limits)
        }
        let stream = #"{"stream":{"a":"b"},"values":[["1","x"]]}"#
        limits.lines = 9
        #expect(throws: LokiPushError.self) { try parse("{\"streams\":[\(stream),\(stream)]}", limits: limits) }
    }
}

/// Mangled pushes are refused or give columns that agree.
struct LokiPushFuzzer: Fuzzer {
    static let name = "loki-push"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        let whole = Array(
            #"{"streams":[{"stream":{"a":"b","c":"d"},"values":[["17","one \n"],["18","two",{"k":"v"}]]},{}]}"#.utf8)
        for event in 0..<events {
            var body = whole
            for _ in 0..<random.int(in: 0..<4) {
                let index = random.int(in: 0..<body.count)
                switch random.int(in: 0..<3) {
                case 0: body[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: body.swapAt(index, random.int(in: 0..<body.count))
                default: body.insert(contentsOf: body[index..<min(body.count, index + 30)], at: index)
                }
            }
            guard let push = try? LokiPushJSON.parse(body) else { continue }
            for stream in push.batch.streams {
                guard !stream.labels.isEmpty, stream.lineEnds.count == stream.count,
                    stream.lineEnds.last == stream.bytes.count,
                    stream.metadata.allSatisfy({ $0.lineIndex < stream.count })
                else { throw FuzzFinding(seed: seed, event: event, "columns do not agree: \(body)") }
            }
        }
    }
}

@Suite struct LokiPushFuzzerTests {
    @Test func smoke() throws { try LokiPushFuzzer.runFromTable() }
}
