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
        func take(_ line: LineJoiner.Line) {
            read[line.stream.rawValue] += line.text
            intervals.append(line.offsets)
        }
        for event in 0..<events {
            let stream = generator.pick(DockerRecord.Stream.allCases)
            let isPiece = generator.oneIn(3)
            let count = isPiece ? LineJoiner.dockerBufferBytes : generator.int(in: 0..<200)
            let body = [UInt8](repeating: UInt8(generator.int(in: 97..<123)), count: count)
            written[stream.rawValue] += body
            let text = isPiece ? body : body + [10]
            let length = UInt64(text.count + generator.int(in: 40..<80))
            joiner.take(
                DockerRecord(stream: stream, nanoseconds: 0), text: text[...], offsets: offset..<offset + length,
                emit: take)
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
        var bytes = Array(#"{"log":"a\u00e4\n","stream":"stdout","time":"2026-11-23T08:33:03.1Z"}"#.utf8)
        for _ in 0..<generator.int(in: 0..<4) {
            bytes[generator.int(in: 0..<bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
        }
        var text: [UInt8] = []
        let record = bytes.withUnsafeBytes { DockerRecord.parse($0, into: &text) }
        if record == nil, !text.isEmpty {
            throw FuzzFinding(seed: seed, event: event, "a refused record left text behind")
        }
        let line = "6,1,1,-;oom-kill:" + String(decoding: bytes, as: UTF8.self)
        _ = KernelRecord(line[...])
    }
}
