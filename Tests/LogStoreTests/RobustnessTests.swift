internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// What no one should send or meet, and somebody will: streams without any template, streams by the ten thousand, a bit
/// that turns over in any of the files, a store that is closed at work.
struct RobustnessTests {
    let all = LogRequest(matchers: [], range: .all)

    /// Lines of which each has a structure of its own: no two share a template.
    private static func explosion(_ count: Int) -> [[UInt8]] {
        var random = SeededGenerator(seed: 3)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        return (0..<count).map { _ in
            var line = ""
            for _ in 0..<random.int(in: 4..<12) {
                line += String((0..<random.int(in: 2..<9)).map { _ in random.pick(letters) })
                line +=
                    random.pick([" ", "=", ": ", "\"", ", ", "{", "(", ")", "="])
                    + random.pick(["", "1 ", "22-", "x3 "])
            }
            return Array(line.utf8)
        }
    }

    @Test func aStreamThatExplodesIntoTemplatesFallsBackToRawColumns() throws {
        let lines = RobustnessTests.explosion(20_000)
        var columns = LineColumns()
        var appended = LogLines(labels: Labels(["app": "chaos"]))
        for (index, line) in lines.enumerated() { appended.append(nanoseconds: Int64(index), line: line) }
        columns.append(appended, 0..<appended.count)
        let block = LogBlock(encoding: columns, firstPosition: 1, lastPosition: 1, lastArrivalNanoseconds: 0)
        // Bounded: templates, and what the block takes beside the lines themselves.
        #expect(block.table.count <= TemplateBuilder.nodesMaximum)
        #expect(block.body.count + block.table.texts.count < columns.bytes.count * 3 / 2)
        let stored = StoredBlock(block)
        #expect(try stored.columns() == columns)
        let open = try stored.open()
        let isRaw = open.lines.leaves.contains(TemplateTable.rawLeaf)
        #expect(isRaw)
        // It is searched like any other.
        let needle = String(decoding: lines[17_000].dropFirst(3).prefix(12), as: UTF8.self)
        let filter = try LineFilter([LinePredicate(.contains, [needle])])
        let expected = lines.indices.filter { filter.matches(lines[$0][...]) }.map { Int32($0) }
        #expect(try BlockSearch(filter).select(open, 0..<lines.count, of: stored) == expected)
    }

    @Test func manyBlocksOfChaosKeepAPartBounded() throws {
        var footer = PartFooter()
        footer.streams = [Labels(["app": "chaos"])]
        var blocks: [(stream: Int, block: LogBlock)] = []
        let lines = RobustnessTests.explosion(6_000)
        for number in 0..<6 {
            var columns = LineColumns()
            var appended = LogLines(labels: footer.streams[0])
            for line in lines[number * 1000..<(number + 1) * 1000] { appended.append(nanoseconds: 1, line: line) }
            columns.append(appended, 0..<appended.count)
            blocks.append(
                (0, LogBlock(encoding: columns, firstPosition: 1, lastPosition: 1, lastArrivalNanoseconds: 0)))
        }
        let part = try PartReader(MemoryObject(bytes: PartWriter(footer, blocks: blocks).encoded()))
        #expect(part.footer.templates.count <= TemplateTable.nodesMaximum)
        let restored = try part.footer.blocks.flatMap { summary -> [[UInt8]] in
            let columns = try StoredBlock(part, summary).columns()
            return (0..<columns.count).map { Array(columns.bytes[columns.lineStart($0)..<columns.lineEnds[$0]]) }
        }
        #expect(restored == lines)
    }

    @Test func thousandsOfTinyStreamsAreOneStoreLikeAnyOther() async throws {
        let fixture = try LogFixture()
        var store = try fixture.open()
        let streams = 2_000
        func labels(_ number: Int) -> Labels { Labels(["app": "a\(number)", "pod": "p\(number % 100)"]) }
        for first in stride(from: 0, to: streams, by: 500) {
            var batch = LogBatch(streams: [])
            for number in first..<first + 500 {
                batch.streams +=
                    LogBatch(
                        labels(number), [(fixture.time(1), "started \(number)"), (fixture.time(2), "ready in 17 ms")]
                    ).streams
            }
            #expect(try await store.append(batch).accepted == 1000)
        }
        try store.seal()
        for _ in 0..<2 {
            #expect(try store.streams(all, in: fixture.context()).count == streams)
            let one = [try LabelMatcher("app", .equal, "a1234")]
            let found = try store.lines(LogRequest(matchers: one, range: .all), fixture.context())
            #expect(found.map(\.text) == ["started 1234", "ready in 17 ms"])
            let counts = try store.counts(
                LogRequest(matchers: [], range: .all, fragment: LogPlanFragment(grouping: ["pod"])),
                bucketNanoseconds: .max, in: fixture.context())
            #expect(counts == nil || counts?.count == 100)
            try store.close()
            store = try fixture.open()
        }
        // Two lines of a stream cost little more than a row of the index and its labels.
        let bytes = store.state.withLock { $0.parts.reduce(0) { $0 + Int($1.reader.fileBytes) } }
        #expect(bytes < streams * 400)
        try store.close()
    }

    private func open(_ storage: SimulatedStorage, _ clock: ManualClock) throws -> LogDatabase {
        var options = LogStoreOptions()
        options.maintenanceMilliseconds = nil
        return try LogDatabase.open(
            storage: storage, folder: "logs", options: options, wallClock: clock, driving: .manual,
            logOptions: SegmentedLog.Options(growthBytes: 0))
    }

    /// A store with a part, a deletion and a log behind them.
    private func filled(_ clock: ManualClock) throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: 2)
        let store = try open(storage, clock)
        func append(_ app: String, _ text: String) {
            store.submit(LogBatch(Labels(["app": app]), [(clock.nowNanoseconds, text)])) { _ in }
            store.log.runOnce()
            clock.advance(milliseconds: 1000)
        }
        for number in 0..<3 { append("a", "sealed \(number)") }
        append("b", "secret")
        try store.seal()
        let range = TimeRange(startMilliseconds: 0, endMilliseconds: clock.nowMilliseconds)
        #expect(try store.delete(matching: [try LabelMatcher("app", .equal, "b")], range: range) == 1)
        for number in 0..<4 { append("a", "logged \(number)") }
        try store.close()
        return storage
    }

    @Test func aFlippedBitInAnyFileCostsAtMostItsBlockAndIsToldAtTheStart() throws {
        let clock = ManualClock()
        let pristine = try filled(clock)
        var files = ["logs/deletions"]
        for folder in ["logs/parts", "logs/log"] {
            files += try pristine.list(folder).map { folder + "/" + $0.name }
        }
        #expect(files.count >= 3)
        let whole = try lines(pristine, clock).texts
        #expect(whole == (0..<3).map { "sealed \($0)" } + (0..<4).map { "logged \($0)" })
        for file in files {
            let size = pristine.bytes(of: file)?.count ?? 0
            for byte in stride(from: 0, to: size, by: file.contains("/log/") ? 3 : 1) {
                let storage = pristine.survivors(of: .kill)
                storage.flipBit(byte % 8, ofByte: byte, in: file)
                let (texts, found) = try lines(storage, clock)
                // Never another line, never what was deleted, and what is missing is one block or one batch.
                #expect(Set(texts).isSubset(of: whole), "\(file) byte \(byte)")
                let lost = whole.count - texts.count
                // The header of a segment of the log is found again from the frame behind it.
                let isHeader = file.contains("/log/") && byte < SegmentHeader.byteCount
                #expect(lost <= (file.contains("/parts/") ? 3 : isHeader ? 0 : 1), "\(file) byte \(byte)")
                // The last four bytes of an anchor stand for nothing.
                let isUnused = file.contains("/parts/") && ((28..<32).contains(byte) || byte >= size - 4)
                if lost > 0 || isHeader || !file.contains("/log/") && !isUnused {
                    #expect(found > 0, "\(file) byte \(byte)")
                }
            }
        }
    }

    /// The lines of a store, and how many findings of damage its start and its first look at the parts told.
    private func lines(_ storage: SimulatedStorage, _ clock: ManualClock) throws -> (texts: [String], findings: Int) {
        let store = try open(storage, clock)
        let parts = store.state.withLock { $0.parts }
        store.scrub.round(parts, isCancelled: { false }) {
            store.noteDamage($2, of: $1, in: $0)
        } note: { part, words in
            store.noteBlemish(words, of: part)
        }
        let findings = store.quarantine.count + store.findings.count
        let found = try store.lines(all, QueryContext(clock: clock)).map(\.text)
        try store.close()
        return (found, findings)
    }

    @Test func aMergeUnderWayIsGivenUpWhenTheStoreCloses() async throws {
        var fixture = try LogFixture()
        fixture.options.mergePartsMinimum = 2
        let store = try fixture.open()
        for part in 0..<3 {
            _ = try await store.append(
                LogBatch(Labels(["app": "a"]), [(fixture.time(Int64(part)), "line \(part)")]))
            try store.seal()
        }
        let parts = store.state.withLock { $0.parts }
        #expect(parts.count == 3)
        #expect(throws: MergeCancelled.self) {
            _ = try PartMerger(parts: parts, deletions: [], isCancelled: { true }).part()
        }
        try store.close()
        // Begun after the store has begun to close: nothing changes, and nothing failed.
        store.mergeParts()
        store.enforceSize()
        #expect(store.state.withLock { $0.parts.map(\.name) } == parts.map(\.name))
        #expect(store.state.withLock { $0.counters.mergeFailures } == 0)
        let again = try fixture.open()
        #expect(try again.lines(all, fixture.context()).count == 3)
        try again.close()
    }

    @Test func aCrowdedStoreLetsSendersWaitInsteadOfTakingMore() async throws {
        var fixture = try LogFixture()
        fixture.options.maintenanceMilliseconds = 20
        fixture.options.headBytesWaiting = 200_000
        fixture.options.sealBytes = 150_000
        fixture.options.headBytesMaximum = 1 << 20
        let store = try fixture.open()
        let time = fixture.time(0)
        let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
            for sender in 0..<4 {
                group.addTask {
                    var accepted = 0
                    for number in 0..<40 {
                        let text = "\(sender) \(number) " + String(repeating: "z", count: 10_000)
                        let labels = Labels(["app": "a\(sender)"])
                        accepted += try await store.append(LogBatch(labels, [(time + Int64(number), text)])).accepted
                    }
                    return accepted
                }
            }
            return try await group.reduce(0, +)
        }
        // Nobody was refused, although ten times what may wait has passed through.
        #expect(accepted == 160)
        #expect(store.state.withLock { $0.counters.overloadedAppends } == 0)
        #expect(try store.lines(all, fixture.context()).count == 160)
        try store.close()
    }
}
