import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Records become lines: pieces are joined, last words are kept, intervals never overlap.
@Suite struct LineJoinerTests {
    /// A line with its text, for comparing.
    private struct Joined {
        var text: [UInt8]
        var offsets: Range<UInt64>
        var ending: LineJoiner.Ending
    }

    private static func piece(_ letter: Character, _ count: Int = DockerJSONFormat.bufferBytes) -> String {
        String(repeating: letter, count: count)
    }

    private static func take(
        _ joiner: inout LineJoiner, _ text: String, _ offsets: Range<UInt64>, _ stream: LogStream = .standardOutput
    ) -> [Joined] {
        var lines: [Joined] = []
        var bytes = Array(text.utf8)
        let record = LogRecord(stream: stream, nanoseconds: 7, ending: DockerJSONFormat.ending(&bytes))
        joiner.take(record, text: bytes, offsets: offsets) {
            lines.append(Joined(text: $1, offsets: $0.offsets, ending: $0.ending))
        }
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
        #expect(lines.first?.text.count == 2 * DockerJSONFormat.bufferBytes + 3)
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
        #expect(output.first?.text.count == DockerJSONFormat.bufferBytes + 3)
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
        var lines: [Joined] = []
        joiner.flush { lines.append(Joined(text: $1, offsets: $0.offsets, ending: $0.ending)) }
        #expect(lines.first?.ending == .unterminated)
        #expect(lines.first?.text.count == DockerJSONFormat.bufferBytes)
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
        joiner.flush { total += $1.count }
        #expect(total == 100 * DockerJSONFormat.bufferBytes)
        #expect(longest <= LineJoiner.lineBytesMaximum)
    }

    @Test func bytesAreNeitherLostNorDoubled() throws {
        try TailFuzzer.runFromTable()
    }
}
