internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Whatever goes into a block, a batch record or a footer comes out byte by byte.
struct FormatTests {
    @Test(arguments: 0..<60) func blocksRestoreEveryByte(seed: Int) throws {
        var generator = LogGenerator(seed: UInt64(seed))
        let columns = generator.columns(lines: generator.random.int(in: 1..<400))
        let block = LogBlock(encoding: columns, firstPosition: 3, lastPosition: 9, lastArrivalNanoseconds: 77)
        let restored = try StoredBlock(block).columns()
        let expected = columns.sorted()
        #expect(restored.timesNanoseconds == expected.timesNanoseconds)
        #expect(restored.bytes == expected.bytes && restored.lineEnds == expected.lineEnds)
        #expect(restored.metadata == expected.metadata)
        #expect(restored.offsetStarts == expected.offsetStarts && restored.offsetEnds == expected.offsetEnds)
        for index in 0..<expected.originIndexes.count {
            let (left, right) = (restored.originIndexes[index], expected.originIndexes[index])
            #expect((left < 0 ? nil : restored.origins[Int(left)]) == (right < 0 ? nil : expected.origins[Int(right)]))
        }
        #expect(block.summary.firstNanoseconds == expected.timesNanoseconds.first)
        #expect(block.summary.rawBytes == columns.bytes.count)
    }

    @Test(arguments: 0..<60) func batchRecordsRestoreEveryByte(seed: Int) throws {
        var generator = LogGenerator(seed: UInt64(seed))
        var offset: UInt64 = 10
        var streams: [LogLines] = []
        for number in 0..<generator.random.int(in: 0..<5) {
            let origin = number % 2 == 0 ? LogOrigin(source: "s\(number)", generation: UInt64(number)) : nil
            streams.append(generator.lines(generator.labels(), origin, count: number * 7, offset: &offset))
        }
        let loss = LogLoss(
            labels: generator.labels(), origin: LogOrigin(source: "x", generation: 2),
            range: LogTimeRange(startNanoseconds: -5, endNanoseconds: 9), lines: 4, bytes: 0, reason: "spool full")
        let record = BatchRecord(
            streams: streams, losses: [loss], delivery: DeliveryIdentity("agent", 9), arrivalNanoseconds: -1)
        let decoded = try record.encoded().withUnsafeBytes { try BatchRecord(decoding: $0) }
        #expect(decoded.losses == record.losses && decoded.delivery == record.delivery)
        #expect(decoded.arrivalNanoseconds == -1 && decoded.streams.count == streams.count)
        for (left, right) in zip(decoded.streams, streams) {
            #expect(left.labels == right.labels && left.origin == right.origin && left.bytes == right.bytes)
            #expect(left.timesNanoseconds == right.timesNanoseconds && left.lineEnds == right.lineEnds)
            #expect(left.offsetStarts == right.offsetStarts && left.offsetEnds == right.offsetEnds)
            #expect(left.metadata == right.metadata)
        }
    }

    @Test(arguments: 0..<30) func intervalSetsEqualASetOfBytes(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var set = IntervalSet()
        var model = Set<UInt64>()
        for _ in 0..<80 {
            let start = UInt64(random.int(in: 0..<200))
            let range = start..<start + UInt64(random.int(in: 0..<12))
            let stored = range.filter { model.contains($0) }.count
            #expect(set.contains(range) == (stored == range.count))
            #expect(set.overlaps(range) == (stored > 0))
            set.insert(range)
            model.formUnion(range)
            #expect(set.ranges.flatMap { Array($0) } == model.sorted())
            #expect(zip(set.ranges, set.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        }
    }

    @Test(arguments: 0..<30) func streamIndexEqualsMatchingOneByOne(seed: Int) throws {
        var generator = LogGenerator(seed: UInt64(seed))
        var index = StreamIndex()
        var known: [Int: Labels] = [:]
        for _ in 0..<60 {
            let labels = generator.labels()
            known[index.insert(labels)] = labels
            if generator.random.oneIn(8), let victim = known.keys.randomElement(using: &generator.random) {
                index.remove(victim)
                known[victim] = nil
            }
        }
        for _ in 0..<60 {
            let matchers = try (0..<generator.random.int(in: 0..<4)).map { _ in
                try LabelMatcher(
                    "l\(generator.random.int(in: 0..<4))", generator.random.pick(LabelMatcher.Operation.allCases),
                    generator.random.pick(["v1", "v2", "", "v[12]", ".*", ".+", "nothing"]))
            }
            let expected = known.filter { entry in matchers.allSatisfy { $0.matches(entry.value) } }.keys.sorted()
            #expect(index.select(matchers) == expected, "\(matchers)")
        }
        #expect(index.count == known.count)
    }

    @Test func partNamesSayWhatTheyCover() {
        var footer = PartFooter()
        footer.firstPosition = 0x1f
        footer.lastPosition = .max
        footer.createdNanoseconds = -5_000_000_000
        let name = PartName(footer)
        #expect(name.fileName == "part_000000000000001f_ffffffffffffffff_-5_-5.part")
        #expect(PartName(name.fileName) == name)
        #expect(PartName("part_1_2_3_4.part.damaged")?.lastPosition == 2)
        #expect(PartName("deletions") == nil)
    }
}
