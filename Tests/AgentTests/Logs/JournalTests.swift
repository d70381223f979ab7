import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Lines of the journal: pieces and gaps, and a real journal where systemd's tools are here to make one.
@Suite struct JournalTests {
    private static func take(
        _ lines: inout JournalLines, _ entries: JournalEntry...
    ) -> (texts: [String], gaps: [UInt64]) {
        var texts: [String] = []
        var gaps: [UInt64] = []
        for entry in entries {
            lines.take(entry, atNanoseconds: 0) {
                texts.append(String(decoding: $0.text, as: UTF8.self))
            } gap: {
                gaps.append($0.lines)
            }
        }
        return (texts, gaps)
    }

    private static func entry(_ message: String, _ fields: [String: String]) -> JournalEntry {
        JournalEntry(nanoseconds: 1, message: message, fields.merging(["CONTAINER_ID_FULL": "c"]) { one, _ in one })
    }

    @Test func piecesOfDockersLinesAreJoined() {
        var lines = JournalLines()
        let part = { (text: String, last: String) in
            Self.entry(
                text,
                [
                    "CONTAINER_PARTIAL_MESSAGE": "true", "CONTAINER_PARTIAL_ID": "7", "CONTAINER_PARTIAL_LAST": last,
                ])
        }
        let other = Self.entry("other\n", [:])
        #expect(Self.take(&lines, part("a", "false"), other, part("b", "true")).texts == ["other", "ab"])
        #expect(!lines.isWaiting)
    }

    @Test func conmonsPiecesHaveNoNumberAndEndWithoutTheMark() {
        var lines = JournalLines()
        let piece = Self.entry("a", ["CONTAINER_PARTIAL_MESSAGE": "true", "PRIORITY": "6"])
        #expect(Self.take(&lines, piece).texts.isEmpty)
        #expect(lines.isWaiting)
        #expect(Self.take(&lines, Self.entry("b", ["PRIORITY": "6"])).texts == ["ab"])
    }

    @Test func pieceThatWaitsTooLongIsGivenOut() {
        var lines = JournalLines()
        _ = Self.take(&lines, Self.entry("a", ["CONTAINER_PARTIAL_MESSAGE": "true"]))
        var texts: [String] = []
        lines.flush(atNanoseconds: 6_000_000_000) { texts.append(String(decoding: $0.text, as: UTF8.self)) }
        #expect(texts == ["a"])
    }

    @Test func aGapInTheEnginesCountIsSeenWithinOneLifeOfTheContainer() {
        var lines = JournalLines()
        let counted = { (epoch: String, ordinal: Int) in
            Self.entry("x", ["CONTAINER_LOG_EPOCH": epoch, "CONTAINER_LOG_ORDINAL": "\(ordinal)"])
        }
        let gaps = Self.take(&lines, counted("e", 1), counted("e", 2), counted("e", 6), counted("f", 1)).gaps
        #expect(gaps == [3])
    }

    // MARK: - A real journal

    private static let tool = "/lib/systemd/systemd-journal-remote"

    private static func export(_ numbers: ClosedRange<Int>, _ fields: String = "") -> String {
        numbers.map { number in
            """
            __REALTIME_TIMESTAMP=\(1_700_000_000_000_000 + number)
            __MONOTONIC_TIMESTAMP=\(number)
            _BOOT_ID=0123456789abcdef0123456789abcdef
            MESSAGE=line \(number)
            PRIORITY=4
            _SYSTEMD_UNIT=web.service
            \(fields)_PID=1


            """
        }.joined()
    }

    private static func write(_ text: String, to scratch: ScratchFolder) {
        scratch.write(text, to: "export.txt")
        let tool = tool
        var arguments: [UnsafeMutablePointer<CChar>?] = [
            strdup(tool), strdup("-o"), strdup("\(scratch.path)/journal/test.journal"),
            strdup("\(scratch.path)/export.txt"), nil,
        ]
        var process: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn(&process, tool, &actions, nil, &arguments, nil)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        for argument in arguments { free(argument) }
    }

    @Test(.enabled(if: access(tool, X_OK) == 0, "systemd-journal-remote is not installed"))
    func aRealJournalIsReadOnBehindWhatTheServerHas() throws {
        let stage = TailStage()
        stage.scratch.makeFolder("journal")
        Self.write(Self.export(1...3), to: stage.scratch)
        stage.settings.journal = .all
        stage.settings.journalFolder = "\(stage.scratch.path)/journal"
        AtomicFilePositions.begin(stage.scratch.path)
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts == ["line 1", "line 2", "line 3"])
        let stream = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.first
        #expect(stream?.labels["unit"] == "web.service")
        #expect(stream?.labels["service"] == "web")
        #expect(stream?.metadata.first?.labels["level"] == "warn")
        #expect(stream?.timesNanoseconds.first == 1_700_000_000_000_001_000)
        stage.settleAll()
        stage.tailer = nil
        Self.write(Self.export(4...5), to: stage.scratch)
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts.suffix(2) == ["line 4", "line 5"])
        #expect(stage.sink.texts.count == 5)
        #expect(stage.sink.losses.isEmpty)
        // Numbers go on, so that the server drops what it gets twice.
        let numbers = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.flatMap(\.offsetStarts)
        #expect(numbers == [1, 2, 3, 4, 5])
    }

    @Test(.enabled(if: access(tool, X_OK) == 0, "systemd-journal-remote is not installed"))
    func aJournalThatWasVacuumedIsALossAndSuppressedMessagesAreToo() throws {
        let stage = TailStage()
        stage.scratch.makeFolder("journal")
        Self.write(Self.export(1...3), to: stage.scratch)
        stage.settings.journal = .all
        stage.settings.journalFolder = "\(stage.scratch.path)/journal"
        AtomicFilePositions.begin(stage.scratch.path)
        stage.restart()
        stage.pass()
        stage.settleAll()
        stage.tailer = nil
        unlink("\(stage.scratch.path)/journal/test.journal")
        let suppressed = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\nN_DROPPED=17\n"
        Self.write(Self.export(8...8) + Self.export(9...9, suppressed), to: stage.scratch)
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts.suffix(2) == ["line 8", "line 9"])
        #expect(stage.sink.losses.map(\.lines) == [0, 17])
        let generations = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.compactMap(\.origin)
        #expect(generations.map(\.generation) == [0, 1])
    }

    @Test func aMachineWithoutAJournalFolderSaysSo() {
        #expect(throws: Journal.Failure.self) { try Journal(folder: "/nowhere/at/all") }
    }
}
