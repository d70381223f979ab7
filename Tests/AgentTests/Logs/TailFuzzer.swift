import Telemetry
import TestSupport

@testable import Agent

/// Records cut into pieces of both streams at random, some damaged: every byte of every whole line comes out once, in
/// order, and intervals never overlap; nothing crashes on what is no record.
struct TailFuzzer: Fuzzer {
    static let name = "agent-tail"

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        var joiner = LineJoiner()
        var offset: UInt64 = 0
        var written: [[UInt8]] = [[], []]
        var read: [[UInt8]] = [[], []]
        var intervals: [Range<UInt64>] = []
        func take(_ line: LineJoiner.Line, _ text: [UInt8]) {
            read[line.stream.rawValue] += text
            intervals.append(line.offsets)
        }
        for event in 0..<events {
            let stream = generator.pick(LogStream.allCases)
            let isPiece = generator.oneIn(3)
            let count = isPiece ? DockerJSONFormat.bufferBytes : generator.int(in: 0..<200)
            let body = [UInt8](repeating: UInt8(generator.int(in: 97..<123)), count: count)
            written[stream.rawValue] += body
            let length = UInt64(body.count + generator.int(in: 40..<80))
            joiner.take(
                LogRecord(stream: stream, nanoseconds: 0, ending: isPiece ? .partial : .complete), text: body,
                offsets: offset..<offset + length, emit: take)
            offset += length
            guard joiner.resumeOffset(offset) <= offset else {
                throw FuzzFinding(seed: seed, event: event, "reading would resume behind what was read")
            }
            try parseGarbage(&generator, seed, event)
        }
        joiner.flush(emit: take)
        if read != written { throw FuzzFinding(seed: seed, event: events, "bytes of lines were lost or doubled") }
        let ordered = intervals.sorted { $0.lowerBound < $1.lowerBound }
        for (left, right) in zip(ordered, ordered.dropFirst()) where left.upperBound > right.lowerBound {
            throw FuzzFinding(seed: seed, event: events, "intervals \(left) and \(right) overlap")
        }
    }

    private static func parseGarbage(_ generator: inout SeededGenerator, _ seed: UInt64, _ event: Int) throws {
        let records = [
            #"{"log":"a\u00e4\n","stream":"stdout","time":"2026-11-23T08:33:03.1Z"}"#,
            "2026-11-23T08:33:03.1+08:00 stderr P text of a line", "<34>1 2026-11-23T08:33:03Z h a p m [x] text",
            "123 <13>Nov 23 08:33:03 host app[1]: text",
        ]
        var bytes = Array(generator.pick(records).utf8)
        for _ in 0..<generator.int(in: 0..<4) {
            bytes[generator.int(in: 0..<bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
        }
        bytes.removeLast(generator.int(in: 0..<bytes.count))
        let formats: [any LogFormat] = [DockerJSONFormat(), CRIFormat(), PlainFormat()]
        bytes.withUnsafeBytes { raw in
            for format in formats {
                var text: [UInt8] = []
                _ = format.parse(raw, into: &text)
            }
            _ = SyslogMessage(raw)
            var framing = SyslogFraming()
            framing.take(raw) { _ = SyslogMessage($0) }
        }
        var decoder = EngineLogDecoder(hasTerminal: generator.oneIn(2))
        _ = try? decoder.take(bytes)
        let line = "6,1,1,-;oom-kill:" + String(decoding: bytes, as: UTF8.self)
        _ = KernelRecord(line[...])
    }
}
