internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// Holding every answer of a store against the model.
extension StoreSimulation {
    /// After a start, finds out what became of the things that were not answered: each happened as a whole or not at
    /// all.
    mutating func settleOpen(_ database: LogDatabase) throws {
        let oldest = clock.nowNanoseconds - Self.retentionMilliseconds * 1_000_000
        let all = LogRequest(matchers: [], range: .all)
        let found = try database.lines(all, QueryContext(clock: clock))
        // Several batches of one group are written at once; each may have survived alone.
        guard open.count <= 10 else { throw BrokenPromise("\(open.count) things are open") }
        for chosen in 0..<(1 << open.count) {
            var candidate = model
            for (number, thing) in open.enumerated() where chosen & (1 << number) != 0 { candidate.apply(thing) }
            candidate.expire(olderThan: oldest)
            guard candidate.lines(all) == found else { continue }
            // Of alternatives that look alike the one with the right deliveries and losses is meant.
            guard try gapsAgree(database, candidate), deliveriesAgree(database, candidate) else { continue }
            // A log that could not be synced while it was opened shows what it found and promises none of it.
            if database.log.status.poison != nil, !open.isEmpty { return }
            coverage.note("an open batch that was there", chosen.nonzeroBitCount)
            coverage.note("an open batch that was not", open.count - chosen.nonzeroBitCount)
            model = candidate
            open = []
            return
        }
        let deliveries = database.state.withLock {
            $0.deduplication.deliveries.map { "\($0.sender.agent)=\($0.sequence)" }
        }
        let wanted = model.sequences.map { "\($0.key.agent)=\($0.value)" }.sorted()
        var aged = model
        aged.expire(olderThan: oldest)
        throw BrokenPromise(
            difference(found, aged) + "; \(open.count) things were open; deliveries \(deliveries), not \(wanted); "
                + "\(aged.losses.count) losses")
    }

    private func deliveriesAgree(_ database: LogDatabase, _ model: StoreModel) -> Bool {
        database.state.withLock { state in
            let known = state.deduplication.deliveries.map { ($0.sender, $0.sequence) }
            return Dictionary(uniqueKeysWithValues: known) == model.sequences
        }
    }

    private func gapsAgree(_ database: LogDatabase, _ model: StoreModel) throws -> Bool {
        let context = QueryContext(clock: clock)
        _ = try database.streams(LogRequest(matchers: [], range: .all), in: context)
        let expected = Set(model.losses.map { "\($0.range) \($0.labels)" })
        // Frames of a group that did not survive as a whole count as lost, although nobody was promised them.
        let told = context.gaps.filter { !$0.reason.contains("write-ahead log") }
        return Set(told.map { "\($0.range) \($0.labels)" }) == expected || expected.count > 50
    }

    private func difference(_ found: [AnsweredLine], _ model: StoreModel) -> String {
        let expected = model.lines(LogRequest(matchers: [], range: .all))
        let place = zip(expected, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        let index = place ?? min(expected.count, found.count)
        let wanted = index < expected.count ? "\(expected[index])" : "the end"
        let got = index < found.count ? "\(found[index])" : "the end"
        return "\(found.count) lines instead of \(expected.count); line \(index) is \(got), not \(wanted)"
    }

    /// Asks for everything, then some questions of any kind.
    mutating func verify(_ database: LogDatabase) throws {
        for direction in [LogDirection.forward, .backward] {
            let request = LogRequest(matchers: [], range: .all, direction: direction)
            let found = try database.lines(request, QueryContext(clock: clock))
            guard found == model.lines(request) else { throw BrokenPromise(difference(found, model)) }
        }
        for _ in 0..<2 {
            let request = try nextRequest()
            let expected = model.lines(request)
            let context = QueryContext(clock: clock)
            let found = try database.lines(request, context)
            guard found == expected else {
                let wrong = found.first { !expected.contains($0) }.map { "\($0)" } ?? "none"
                let missing = expected.first { !found.contains($0) }.map { "\($0)" } ?? "none"
                throw BrokenPromise(
                    "\(request): \(found.count) lines instead of \(expected.count); wrong: \(wrong); missing: "
                        + missing)
            }
            if !request.fragment.linePredicates.isEmpty { coverage.note("a filter that found lines", found.count) }
            guard context.warnings.isEmpty else { throw BrokenPromise("a sound store warns: \(context.warnings)") }
            try verifyCounts(database, request, expected)
            let streams = Set(model.lines(LogRequest(matchers: request.matchers, range: request.range)).map(\.labels))
            guard try database.streams(request, in: QueryContext(clock: clock)) == streams.sorted() else {
                throw BrokenPromise("\(request): other streams than those with a line")
            }
        }
    }

    private func verifyCounts(_ database: LogDatabase, _ request: LogRequest, _ expected: [AnsweredLine]) throws {
        let width: Int64 = 7_000_000_000
        var request = request
        request.fragment.grouping = []
        let counts = try database.counts(request, bucketNanoseconds: width, in: QueryContext(clock: clock))
        guard let counts, counts.count <= 1 else { throw BrokenPromise("\(request) cannot be counted") }
        var buckets: [Int: (lines: Int, bytes: Int)] = [:]
        for line in expected {
            let bucket = Int((line.nanoseconds - request.range.startNanoseconds) / width)
            buckets[bucket, default: (0, 0)].lines += 1
            buckets[bucket, default: (0, 0)].bytes += line.line.count
        }
        for (bucket, lines) in (counts.first?.lines ?? []).enumerated() {
            let wanted = buckets[bucket] ?? (0, 0)
            guard wanted.lines == lines, wanted.bytes == counts.first?.bytes[bucket] else {
                throw BrokenPromise("\(request): bucket \(bucket) counts \(lines), not \(wanted.lines)")
            }
        }
        if counts.isEmpty, !expected.isEmpty { throw BrokenPromise("\(request): nothing was counted") }
    }

    private mutating func nextRequest() throws -> LogRequest {
        let now = clock.nowNanoseconds
        let start = now - Int64(generator.random.int(in: 0..<8000)) * 1_000_000_000
        let length = Int64(generator.random.pick([1_000_000_000, 500_000_000_000, 10_000_000_000_000]))
        let matchers = [
            [], [LabelMatcher.equal("app", "a1")], [try LabelMatcher("pushed", .notEqual, "yes")],
            [try LabelMatcher("file", .matchesRegex, "f[02]|")], [try LabelMatcher("file", .notMatchesRegex, "f1")],
        ]
        return LogRequest(
            matchers: generator.random.pick(matchers),
            range: LogTimeRange(startNanoseconds: start, endNanoseconds: start + length),
            fragment: LogPlanFragment(
                linePredicates: generator.random.oneIn(3) ? [] : LineFilterTests.predicates(&generator)),
            direction: generator.random.pick([.forward, .backward]), limit: generator.random.pick([0, 1, 3, 100]))
    }
}
