internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

/// Loki's protobuf gives what its JSON gives.
@Suite struct LokiPushProtobufTests {
    @Test func readsLinesTimesAndMetadata() throws {
        let entry = ProtobufWriter.message { entry in
            entry.put(
                1,
                ProtobufWriter.message {
                    $0.put(1, 1_700_000_000 as UInt64); $0.put(2, 5 as UInt64)
                })
            entry.put(2, [0x6f, 0xff, 0x00])
            entry.put(
                3,
                ProtobufWriter.message {
                    $0.put(1, "trace_id"); $0.put(2, "0f")
                })
        }
        let body = ProtobufWriter.message { push in
            push.put(
                1,
                ProtobufWriter.message { stream in
                    stream.put(1, #"{pod="a-1", job="n"}"#)
                    stream.put(2, entry)
                    stream.put(3, 99 as UInt64)
                })
        }
        let push = try LokiPushProtobuf.parse(body)
        let stream = try #require(push.batch.streams.first)
        #expect(stream.labels == Labels(["job": "n", "pod": "a-1"]))
        #expect(stream.timesNanoseconds == [1_700_000_000_000_000_005])
        #expect(Array(stream.line(0)) == [0x6f, 0xff, 0x00])
        #expect(stream.metadata == [LogLineMetadata(lineIndex: 0, labels: Labels(["trace_id": "0f"]))])
    }

    @Test(arguments: [
        (#"{a="b"}"#, ["a": "b"]), (#"{ a = "b" , c="d", }"#, ["a": "b", "c": "d"]), ("{a=`x\\y`}", ["a": "x\\y"]),
        (#"{a="\"\\\n\t\x41\101\u00e9\U0001F600"}"#, ["a": "\"\\\n\tAAé😀"]),
    ])
    func labelsAreReadAsGoWritesThem(_ text: String, _ expected: [String: String]) throws {
        let push = try LokiPushProtobuf.parse(ProtobufWriter.push(text, [(1, [0x61])]))
        #expect(push.batch.streams.map(\.labels) == [Labels(expected)])
    }

    @Test(arguments: [
        ("", "stream labels: `{` is missing"), (#"{a="b""#, "labels without `,` or `}`"),
        (#"{a="b"} x"#, "text behind the labels"), (#"{a=b}"#, "a value in no quotes"),
        (#"{a="\q"}"#, "an unknown escape"), (#"{a="1",a="2"}"#, "a label is there twice"),
        (#"{a="\xff"}"#, "a label that is not UTF-8"),
    ])
    func badLabelsAreNamed(_ text: String, _ reason: String) {
        #expect {
            _ = try LokiPushProtobuf.parse(ProtobufWriter.push(text, [(1, [0x61])]))
        } throws: { error in
            "\(error)".contains(reason)
        }
    }

    @Test func limitsHoldAsForJSON() throws {
        var limits = LokiPushLimits()
        limits.lineBytes = 2
        let body = ProtobufWriter.push(#"{a="b"}"#, [(1, [1, 2, 3]), (2, [1])])
        let push = try LokiPushProtobuf.parse(body, limits: limits)
        #expect(push.batch.lineCount == 1)
        #expect(push.rejections.map(\.lines) == [1])
        #expect(try LokiPushProtobuf.parse(ProtobufWriter.push("{}", [(1, [1])])).rejections.count == 1)
    }
}
