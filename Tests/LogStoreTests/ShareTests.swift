internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Sources share the room, the senders' rate and memory fairly: what one takes too much of, it loses itself.
struct ShareTests {
    private static func labels(_ container: String, _ stream: String = "stdout") -> Labels {
        Labels(["node": "n1", "container": container, "stream": stream])
    }

    /// Lines that do not compress.
    private static func noise(_ count: Int, _ random: inout SeededGenerator) -> [String] {
        (0..<count).map { _ in String((0..<120).map { _ in random.pick(Array("abcdefghijklmnopqrstuvwxyzABCDEF")) }) }
    }

    private func fill(_ store: LogDatabase, _ fixture: LogFixture, parts: Int, calmBytes: Int = 1) async throws {
        var random = SeededGenerator(seed: 7)
        for part in 0..<parts {
            let chatty = ShareTests.noise(200, &random).enumerated().map {
                (fixture.time(Int64(part * 1000 + $0.offset)), $0.element)
            }
            _ = try await store.append(LogBatch(ShareTests.labels("chatty"), chatty))
            for container in ["calm", "quiet"] {
                let lines = (0..<calmBytes).map {
                    (fixture.time(Int64(part * 1000 + $0)), "\(container) \(part) \($0)")
                }
                _ = try await store.append(LogBatch(ShareTests.labels(container), lines))
            }
            try store.seal()
        }
    }

    private func bytes(_ store: LogDatabase) -> Int {
        store.state.withLock { $0.parts.reduce(0) { $0 + Int($1.reader.fileBytes) } }
    }

    @Test func theChattiestSourceLosesItsOldestLinesFirst() async throws {
        var fixture = try LogFixture()
        fixture.options.retentionBytes = 60_000
        fixture.options.mergePartsMinimum = 1000
        var store = try fixture.open()
        try await fill(store, fixture, parts: 6)
        let calm = [try LabelMatcher("container", .notEqual, "chatty")]
        let before = try store.lines(LogRequest(matchers: calm, range: .all), fixture.context())
        #expect(before.count == 12 && bytes(store) > 60_000)
        for _ in 0..<8 { store.maintain() }
        #expect(bytes(store) <= 60_000)
        for _ in 0..<2 {
            // Nobody else has lost a line, and the answer says who did, when and why.
            #expect(try store.lines(LogRequest(matchers: calm, range: .all), fixture.context()) == before)
            let context = fixture.context()
            let chatty = [try LabelMatcher("container", .equal, "chatty")]
            let left = try store.lines(LogRequest(matchers: chatty, range: .all), context)
            #expect(!left.isEmpty && left.count < 1200)
            #expect(left.map(\.nanoseconds).min() ?? 0 >= fixture.time(1000))
            #expect(!context.gaps.isEmpty)
            #expect(context.gaps.allSatisfy { $0.reason.hasPrefix("200 lines lost: removed before their time") })
            #expect(context.gaps.first?.range.startNanoseconds == fixture.time(0))
            let calmContext = fixture.context()
            _ = try store.lines(LogRequest(matchers: calm, range: .all), calmContext)
            #expect(calmContext.gaps.isEmpty)
            try store.close()
            store = try fixture.open()
        }
        try store.close()
    }

    @Test func withoutAChattySourceTheOldestPartGoes() async throws {
        var fixture = try LogFixture()
        fixture.options.retentionBytes = 40_000
        fixture.options.sourceShareMaximum = 1
        fixture.options.mergePartsMinimum = 1000
        let store = try fixture.open()
        try await fill(store, fixture, parts: 6)
        for _ in 0..<3 { store.maintain() }
        #expect(bytes(store) <= 40_000)
        let context = fixture.context()
        let calm = [try LabelMatcher("container", .equal, "calm")]
        let found = try store.lines(LogRequest(matchers: calm, range: .all), context)
        #expect(found.count < 6 && !found.isEmpty && context.gaps.isEmpty)
        try store.close()
    }

    @Test func sourcesAreContainersOrServices() {
        func source(_ labels: [String: String]) -> LineSource { LineSource(Labels(labels)) }
        let container = source(["node": "n", "container": "c", "stream": "stdout"])
        #expect(container == source(["node": "n", "container": "c", "stream": "stderr", "image": "x"]))
        #expect(container != source(["node": "m", "container": "c"]))
        #expect("\(container)" == #"{node="n", container="c"}"#)
        #expect(
            source(["job": "syslog", "host": "h", "pid": "1"]) == source(["job": "syslog", "host": "h", "pid": "2"]))
        #expect(source(["a": "1"]) != source(["a": "2"]))
    }

    @Test func oneContainerIsHeldBackOverAllItsStreams() async throws {
        var fixture = try LogFixture()
        fixture.options.sourceBytesPerSecondMaximum = 100
        let store = try fixture.open()
        func lines(_ container: String, _ stream: String, _ bytes: Int, _ index: Int64) -> LogBatch {
            LogBatch(
                ShareTests.labels(container, stream), [(fixture.time(index), String(repeating: "x", count: bytes))])
        }
        _ = try await store.append(lines("loud", "stdout", 1000, 0))
        await #expect {
            _ = try await store.append(lines("loud", "stderr", 100, 1))
        } throws: { error in
            let refusal = error as? AppendRefusal
            return refusal?.kind == .overloaded && refusal?.retryAfterSeconds == 1
                && "\(error)".contains(#"one source, {node="n1", container="loud"}"#)
        }
        #expect(try await store.append(lines("calm", "stdout", 1000, 2)).accepted == 1)
        try store.close()
    }

    @Test func oneSenderIsToldToComeAgain() async throws {
        var fixture = try LogFixture()
        fixture.options.senderBytesPerSecondMaximum = 100
        fixture.options.senderStreamsMaximum = 2
        fixture.options.sourceStreamsMaximum = 3
        let store = try fixture.open()
        func batch(_ client: String?, _ app: String, _ bytes: Int) -> LogBatch {
            var batch = LogBatch(
                Labels(["job": "j", "app": app]), [(fixture.time(0), String(repeating: app, count: bytes))])
            batch.client = client
            return batch
        }
        _ = try await store.append(batch("one", "a", 1000))
        await #expect {
            _ = try await store.append(batch("one", "b", 50))
        } throws: { error in
            (error as? AppendRefusal)?.kind == .overloaded && "\(error)".contains("one is over the limit of 100 bytes")
        }
        // What the process itself has to say, and others, pass.
        #expect(try await store.append(batch(nil, "b", 2000)).accepted == 1)
        fixture.clock.advance(milliseconds: 10_000)
        #expect(try await store.append(batch("one", "c", 1)).accepted == 1)
        // Streams: three of one source at most, whoever sends them.
        let receipt = try await store.append(batch("two", "d", 1))
        #expect(receipt.rejections.map(\.reason) == [#"the limit of 3 streams of one source, {job="j"}, is reached"#])
        try store.close()
    }

    @Test func whoTakesMostOfTheMemoryIsRefusedFirst() async throws {
        var fixture = try LogFixture()
        fixture.options.headBytesMaximum = 1 << 20
        let store = try fixture.open()
        var number: Int64 = 0
        func send(_ client: String, _ bytes: Int) async throws -> Bool {
            number += 1
            var batch = LogBatch(
                Labels(["app": client]), [(fixture.time(number), String(repeating: "y", count: bytes))])
            batch.client = client
            do {
                return try await store.append(batch).accepted == 1
            } catch let refusal as AppendRefusal {
                #expect(refusal.kind == .overloaded)
                return false
            }
        }
        #expect(try await send("calm", 70_000))
        for _ in 0..<7 { #expect(try await send("greedy", 100_000)) }
        #expect(try await send("greedy", 30_000))
        // Three quarters are taken, most of it by one: it waits, the other does not.
        #expect(try await !send("greedy", 10_000))
        #expect(try await send("calm", 10_000))
        try store.close()
    }
}
