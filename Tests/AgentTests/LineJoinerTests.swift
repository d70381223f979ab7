import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Records become lines: pieces are joined, last words are kept, intervals never overlap.
@Suite struct LineJoinerTests {
    private static func piece(_ letter: Character, _ count: Int = LineJoiner.dockerBufferBytes) -> String {
        String(repeating: letter, count: count)
    }

    private static func take(
        _ joiner: inout LineJoiner, _ text: String, _ offsets: Range<UInt64>,
        _ stream: DockerRecord.Stream = .standardOutput
    ) -> [LineJoiner.Line] {
        var lines: [LineJoiner.Line] = []
        joiner.take(
            DockerRecord(stream: stream, nanoseconds: 7), text: Array(text.utf8)[...], offsets: offsets
        ) { lines.append($0) }
        return lines
    }

    @Test func aWholeRecordIsALine() {
        var joiner = LineJoiner()
        let lines = Self.take(&joiner, "hello\n", 10..<90)
        #expect(lines.map { String(decoding: $0.text, as: UTF8.self) } == ["hello"])
        #expect(lines.first?.offsets == 10..<90)
        #expect(lines.first?.ending == .complete)
        #expect(!joiner.isWaiting)
    }

    @Test func piecesOfALongLineAreJoinedAndCoverAllTheirBytes() {
        var joiner = LineJoiner()
        #expect(Self.take(&joiner, Self.piece("a"), 0..<100).isEmpty)
        #expect(joiner.resumeOffset(100) == 0)
        #expect(Self.take(&joiner, Self.piece("b"), 100..<200).isEmpty)
        let lines = Self.take(&joiner, "end\n", 200..<250)
        #expect(lines.first?.text.count == 2 * LineJoiner.dockerBufferBytes + 3)
        #expect(lines.first?.offsets == 0..<250)
        #expect(joiner.resumeOffset(250) == 250)
    }

    @Test func piecesOfTwoStreamsThatAlternateHaveIntervalsThatDoNotOverlap() {
        var joiner = LineJoiner()
        _ = Self.take(&joiner, Self.piece("a"), 0..<100)
        let error = Self.take(&joiner, "oops\n", 100..<150, .standardError)
        let output = Self.take(&joiner, "end\n", 150..<200)
        #expect(error.first?.offsets == 100..<150)
        #expect(output.first?.offsets == 150..<200)
        #expect(output.first?.text.count == LineJoiner.dockerBufferBytes + 3)
    }

    @Test func theLastWordsOfADyingContainerAreALineAtOnce() {
        var joiner = LineJoiner()
        let lines = Self.take(&joiner, "panic: no line end", 0..<80)
        #expect(lines.map { String(decoding: $0.text, as: UTF8.self) } == ["panic: no line end"])
        #expect(lines.first?.ending == .unterminated)
    }

    @Test func piecesWithoutAnEndAreGivenOutWhenTheirWriterEnded() {
        var joiner = LineJoiner()
        _ = Self.take(&joiner, Self.piece("a"), 0..<100)
        var lines: [LineJoiner.Line] = []
        joiner.flush { lines.append($0) }
        #expect(lines.first?.ending == .unterminated)
        #expect(lines.first?.text.count == LineJoiner.dockerBufferBytes)
        #expect(!joiner.isWaiting)
    }

    @Test func aLineThatNeverEndsIsSplitAndNothingOfItIsLost() {
        var joiner = LineJoiner()
        var total = 0
        var longest = 0
        for index in 0..<100 {
            for line in Self.take(&joiner, Self.piece("a"), UInt64(index * 10)..<UInt64(index * 10 + 10)) {
                #expect(line.ending == .split)
                total += line.text.count
                longest = max(longest, line.text.count)
            }
        }
        joiner.flush { total += $0.text.count }
        #expect(total == 100 * LineJoiner.dockerBufferBytes)
        #expect(longest <= LineJoiner.lineBytesMaximum)
    }

    @Test func recordsAreReadWithEscapesAttributesAndAnyOrder() throws {
        var text: [UInt8] = []
        let line =
            #"{"time":"2026-11-23T08:33:03.696303732Z","attrs":{"a":["}"]},"stream":"stderr","log":"t\u00e4\t\"x\"\n"}"#
        let record = try #require(
            Array(line.utf8).withUnsafeBytes { DockerRecord.parse($0, into: &text) })
        #expect(record.stream == .standardError)
        #expect(record.nanoseconds % 1_000_000_000 == 696_303_732)
        #expect(String(decoding: text, as: UTF8.self) == "tä\t\"x\"\n")
    }

    @Test(arguments: ["", "{", "null", #"{"log":"x"#, #"{"other":1}"#, #"{"log":1}"#, #"{"log":"a","time":"b"} x"#])
    func whatIsNoRecordIsRefusedAndLeavesNothingBehind(_ line: String) {
        var text: [UInt8] = [1]
        let record = Array(line.utf8).withUnsafeBytes { DockerRecord.parse($0, into: &text) }
        #expect(record == nil)
        #expect(text == [1])
    }

    @Test func bytesAreNeitherLostNorDoubled() throws {
        try TailFuzzer.runFromTable()
    }
}
