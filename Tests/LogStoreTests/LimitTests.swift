internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// What the store refuses, and how it says so.
struct LimitTests {
    let app = Labels(["app": "api"])

    @Test func linesAreRejectedOneByOneAndCounted() async throws {
        var fixture = try LogFixture()
        fixture.options.labelsMaximum = 2
        fixture.options.streamsMaximum = 2
        let database = try fixture.open()
        var batch = LogBatch(app, [(fixture.time(0), "good"), (fixture.time(11 * 60_000), "ahead")])
        batch.streams += LogBatch(Labels(["a": "1", "b": "2", "c": "3"]), [(fixture.time(0), "many")]).streams
        batch.streams += LogBatch(.empty, [(fixture.time(0), "nameless")]).streams
        batch.streams += LogBatch(Labels(["app": "2"]), [(fixture.time(0), "second")]).streams
        batch.streams += LogBatch(Labels(["app": "3"]), [(fixture.time(0), "third")]).streams
        let receipt = try await database.append(batch)
        #expect(receipt.accepted == 2)
        #expect(
            receipt.rejections.map(\.reason) == [
                "more than 10 minutes ahead of the server's clock", "3 labels are over the limit of 2",
                "a stream needs at least one label", "the limit of 2 streams is reached",
            ])
        let rejected = database.metrics.first { $0.name == "vedette_logs_rejected_lines_total" }?.value
        #expect(rejected == 4)
        #expect(database.metrics.first { $0.name == "vedette_logs_ahead_lines_total" }?.value == 1)
        try database.close()
    }

    @Test func longLinesAreCutAndSayHowLongTheyWere() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        let long = [UInt8](repeating: 0x61, count: (1 << 20) + 5)
        var lines = LogLines(labels: app)
        lines.append(nanoseconds: fixture.time(0), line: long, metadata: Labels(["trace": "7"]))
        lines.append(nanoseconds: fixture.time(1), line: long.prefix(1 << 20))
        _ = try await database.append(LogBatch(streams: [lines]))
        let answer = try database.lines(LogRequest(matchers: [], range: .all), fixture.context())
        #expect(answer.map(\.line.count) == [1 << 20, 1 << 20])
        #expect(answer.map(\.metadata) == [Labels(["trace": "7", "_truncated": "\((1 << 20) + 5)"]), .empty])
        try database.close()
    }

    @Test func everyLinePassesTheTransform() async throws {
        struct Redaction: LineTransform {
            func transform(_ line: ArraySlice<UInt8>, of labels: Labels) -> [UInt8]? {
                line.contains(UInt8(ascii: "4")) ? Array("[card]".utf8) : nil
            }
        }
        let fixture = try LogFixture()
        var database = try fixture.open(transform: Redaction())
        _ = try await database.append(LogBatch(app, [(fixture.time(0), "4711"), (fixture.time(1), "fine")]))
        try database.close()
        database = try fixture.open()
        let answer = try database.lines(LogRequest(matchers: [], range: .all), fixture.context())
        #expect(answer.map(\.text) == ["[card]", "fine"])
        try database.close()
    }

    @Test func aFullHeadRefusesUntilItIsSealed() async throws {
        var fixture = try LogFixture()
        fixture.options.headBytesMaximum = 2000
        let database = try fixture.open()
        let text = String(repeating: "x", count: 1000)
        _ = try await database.append(LogBatch(app, [(fixture.time(0), text)]))
        let next = LogBatch(app, [(fixture.time(1), text)])
        await #expect { try await database.append(next) } throws: { error in
            let refusal = error as? AppendRefusal
            return refusal?.kind == .overloaded && refusal?.retryAfterSeconds == 1
        }
        try database.seal()
        #expect(try await database.append(next).accepted == 1)
        try database.close()
    }

    @Test func columnsThatDoNotFitAreMalformed() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        var wrong: [LogLines] = []
        let good = LogBatch(
            app, LogOrigin(source: "s", generation: 1), [(fixture.time(0), "a"), (fixture.time(0), "b")])
        for number in 0..<6 {
            var lines = good.streams[0]
            switch number {
            case 0: lines.lineEnds[0] = 9
            case 1: lines.lineEnds.removeLast()
            case 2: lines.bytes.append(0)
            case 3: lines.offsetEnds.removeLast()
            case 4: lines.offsetEnds[1] = lines.offsetStarts[1]
            default: lines.metadata = [LogLineMetadata(lineIndex: 2, labels: app)]
            }
            wrong.append(lines)
        }
        for lines in wrong {
            await #expect { try await database.append(LogBatch(streams: [lines])) } throws: { error in
                (error as? AppendRefusal)?.kind == .malformed
            }
        }
        #expect(try await database.append(good).accepted == 2)
        try database.close()
        await #expect { try await database.append(good) } throws: { error in
            (error as? AppendRefusal)?.kind == .unavailable
        }
        #expect(throws: (any Error).self) {
            try database.lines(LogRequest(matchers: [], range: .all), fixture.context())
        }
    }

    @Test func bytesOfASourceAreStoredOnceInAnyOrder() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let origin = LogOrigin(source: "agent/file", generation: 3)
        func batch(_ numbers: Range<Int>) -> LogBatch {
            let lines = numbers.map { (fixture.time(Int64($0)), "line \($0 + 1000)") }
            return LogBatch(app, origin, from: UInt64(numbers.lowerBound * 10), lines)
        }
        for (number, range) in [0..<5, 10..<20, 3..<12, 0..<25, 24..<30].enumerated() {
            _ = try await database.append(batch(range))
            if number % 2 == 0 { try database.seal() }
            try database.close()
            database = try fixture.open()
        }
        let answer = try database.lines(LogRequest(matchers: [], range: .all), fixture.context())
        #expect(answer.map(\.text) == (0..<30).map { "line \($0 + 1000)" })
        #expect(database.state.withLock { $0.deduplication.origins[origin]?.intervals.ranges } == [0..<300])
        // A new generation of the file is another source.
        let renewed = LogBatch(app, LogOrigin(source: "agent/file", generation: 4), [(fixture.time(0), "line 1000")])
        #expect(try await database.append(renewed).accepted == 1)
        try database.close()
    }

    @Test func aSlowTailIsToldWhatItMissed() async throws {
        var fixture = try LogFixture()
        fixture.options.tailBytesMaximum = 4000
        let database = try fixture.open()
        let request = LogRequest(matchers: [.equal("app", "api")], range: .all)
        let tail = try database.subscribe(request, from: nil)
        for number in 0..<100 {
            _ = try await database.append(LogBatch(app, [(fixture.time(Int64(number)), "line \(number)")]))
        }
        guard case .missed(let lines, let range, let next)? = try await tail.next() else {
            Issue.record("nothing was told")
            return
        }
        #expect(range.contains(fixture.time(0)) && lines <= 100)
        var seen = 0
        while seen + Int(next.rawValue) < 100, case .lines(let buffer, _)? = try await tail.next() {
            seen += buffer.count
        }
        // What was missed and what was shown are all there is.
        #expect(Int(next.rawValue) + seen == 100)
        #expect(lines >= 100 - seen)
        try database.close()
    }

    @Test func aCancelledTailEnds() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        let tail = try database.subscribe(LogRequest(matchers: [], range: .all), from: nil)
        let task = Task { try await tail.next() }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        try database.close()
    }

    @Test func metadataTellsPushedLinesApart() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let labels = Labels(["app": "api"])
        func batch(_ traces: [String]) -> LogBatch {
            var lines = LogLines(labels: labels)
            for trace in traces {
                lines.append(
                    nanoseconds: fixture.time(0), line: Array("same".utf8),
                    metadata: trace.isEmpty ? .empty : Labels(["trace": trace]))
            }
            return LogBatch(streams: [lines])
        }
        let first = try await database.append(batch(["1", "2", "", "1"]))
        #expect(first.accepted == 3 && first.duplicates == 1)
        // Known again from the log, and from a part.
        for _ in 0..<2 {
            try database.close()
            database = try fixture.open()
            let again = try await database.append(batch(["2", "", "1"]))
            #expect(again.accepted == 0 && again.duplicates == 3)
            try database.seal()
        }
        #expect(try await database.append(batch(["3"])).accepted == 1)
        try database.close()
    }

    @Test func aChattyStreamIsHeldBackAndTheOthersAreNot() async throws {
        var fixture = try LogFixture()
        fixture.options.streamBytesPerSecondMaximum = 100
        let store = try fixture.open()
        func batch(_ app: String, _ bytes: Int, _ index: Int64) -> LogBatch {
            LogBatch(Labels(["app": app]), [(fixture.time(index), String(repeating: "x", count: bytes))])
        }
        // Ten seconds' worth at once, then nothing more by itself.
        _ = try await store.append(batch("loud", 1000, 0))
        await #expect {
            _ = try await store.append(batch("loud", 200, 1))
        } throws: { error in
            let refusal = error as? AppendRefusal
            return refusal?.kind == .overloaded && refusal?.retryAfterSeconds == 2
        }
        var mixed = batch("loud", 200, 2)
        mixed.streams += batch("calm", 50, 2).streams
        let receipt = try await store.append(mixed)
        #expect(receipt.accepted == 1)
        #expect(receipt.rejections.map(\.lines) == [1])
        let context = fixture.context()
        let range = LogTimeRange(startNanoseconds: fixture.time(-1), endNanoseconds: fixture.time(10))
        let answer = try store.lines(LogRequest(matchers: [], range: range), context)
        #expect(answer.count == 2)
        #expect(context.gaps.map(\.reason) == ["1 lines lost: over the limit of 100 bytes a second for one stream"])
        fixture.clock.advance(milliseconds: 2000)
        #expect(try await store.append(batch("loud", 200, 1)).accepted == 1)
        try store.close()
    }
}
