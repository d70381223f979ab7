import Disk
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Deleting, retention, merging, snapshots, a full disk, damage: what an operator meets.
struct AdministrationTests {
    private let start: Int64 = 1_700_000_000_000

    private func fill(_ harness: DatabaseHarness, ticks: Range<Int>, sealEach: Int = 10) throws {
        for tick in ticks {
            _ = try harness.append(
                .scrape(
                    [(.series("a"), Double(tick)), (.series("b"), Double(tick) * 0.5)],
                    at: start + Int64(tick) * 1000))
            if tick % sealEach == sealEach - 1 { try harness.database.seal() }
        }
    }

    @Test func blocksAreMergedAndNothingChanges() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<90)
        let before = try harness.samples()
        #expect(harness.database.blocks.view.blocks.count == 9)
        harness.options.blocksPerMerge = 3
        try harness.restart()
        try harness.database.seal()
        #expect(harness.database.blocks.view.blocks.count == 1)
        #expect(try harness.samples() == before)
        try harness.restart()
        #expect(harness.database.blocks.view.blocks.count == 1)
        #expect(try harness.samples() == before)
    }

    @Test func deletedSamplesStayDeletedAndNewOnesShow() throws {
        var harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<25)
        let range = TimeRange(startMilliseconds: start + 5000, endMilliseconds: start + 14_000)
        #expect(try harness.database.delete(matching: [.equal("__name__", "a")], range: range) == 1)
        func check(_ extra: Int = 0) throws {
            let all = try harness.samples()
            #expect(all[.series("a")]?.count == 15 + extra)
            #expect(all[.series("a")]?.keys.allSatisfy { !range.contains($0) || extra > 0 } == true)
            #expect(all[.series("b")]?.count == 25)
        }
        try check()
        try harness.restart()
        try check()
        _ = try harness.append(.scrape([(.series("a"), 1)], at: start + 6000))
        try check(1)
        try fill(harness, ticks: 25..<26)
        for _ in 0..<6 { try harness.database.seal() }
        #expect(try harness.samples()[.series("a")]?.count == 17)
        #expect(throws: MetricDatabaseError.self) { try harness.database.delete(matching: [], range: .all) }
        #expect(try harness.database.delete(matching: [.equal("__name__", "a")], range: .all) == 1)
        #expect(try harness.samples()[.series("a")] == nil)
        let all = SeriesRequest(matchers: [], range: .all)
        let names = try harness.database.labelValues("__name__", all, in: harness.context)
        #expect(!names.contains("a") && !names.isEmpty, "\(names)")
    }

    @Test func whatWasDeletedLeavesTheDiskWhenSomebodyWantsThat() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<30)
        let range = TimeRange(startMilliseconds: start, endMilliseconds: start + 12_000)
        _ = try harness.database.delete(matching: [.equal("__name__", "a")], range: range)
        _ = try harness.database.delete(
            matching: [.equal("job", "node")],
            range: TimeRange(startMilliseconds: start + 20_000, endMilliseconds: start + 29_999))
        let before = try harness.samples()
        func bytes() -> UInt64 { harness.database.blocks.view.blocks.reduce(0) { $0 + $1.reader.byteCount } }
        let held = bytes()
        try harness.database.removeDeleted()
        #expect(try harness.samples() == before)
        // Two are written anew, and the third, of which nothing is left, is gone.
        #expect(harness.database.blocks.view.blocks.count == 2)
        #expect(harness.database.blocks.view.tombstones.isEmpty)
        #expect(bytes() < held)
        try harness.database.removeDeleted()
        try harness.restart()
        #expect(try harness.samples() == before)
        _ = try harness.append(.scrape([(.series("a"), 1)], at: start + 31_000))
        try harness.database.seal()
        #expect(try harness.samples()[.series("a")]?.count == before[.series("a")].map { $0.count + 1 })
    }

    @Test func retentionDropsWholeBlocksByTime() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<50)
        let now = start + 50_000
        #expect(try harness.database.enforceRetention(retentionMilliseconds: 0, nowMilliseconds: now) == 0)
        #expect(try harness.database.enforceRetention(retentionMilliseconds: 30_000, nowMilliseconds: now) > 0)
        #expect(harness.database.blocks.view.blocks.count == 3)
        try harness.restart()
        #expect(try harness.samples()[.series("a")]?.keys.min() == start + 20_000)
    }

    @Test func theOldestBlocksGoWhenAllTakeTooMuch() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<50)
        let bytes = harness.database.blocks.view.blocks.map(\.reader.byteCount)
        harness.options.retentionBytes = bytes.suffix(2).reduce(0, +)
        try harness.restart()
        harness.database.maintain()
        #expect(harness.database.blocks.view.blocks.count == 2)
        try harness.restart()
        #expect(try harness.samples()[.series("a")]?.keys.min() == start + 30_000)
    }

    @Test func limitsPerTargetAndMetricRefuseTheSeriesAndKeepTheRest() throws {
        var harness = try DatabaseHarness()
        harness.options.seriesPerTargetMaximum = 3
        harness.options.seriesPerMetricMaximum = 2
        try harness.restart()
        let many = (0..<5).map { (Labels.series("m\($0)"), Double($0)) }
        let receipt = try harness.append(.scrape(many, at: start))
        #expect(receipt.accepted == 3 && receipt.rejections.map(\.reason) == [.seriesLimit, .seriesLimit])
        let others = ["b", "c"].map { (Labels.series("m0", instance: $0), 1.0) }
        #expect(try harness.append(.scrape(others, at: start)).accepted == 1)
        #expect(try harness.append(.scrape(many, at: start + 1000)).accepted == 3)
        let report = harness.database.cardinality(limit: 10)
        #expect(report.overLimit.map(\.count) == [4, 1])
        #expect(report.overLimit.map(\.name) == ["target {instance=\"a\", job=\"node\"}", "metric m0"])
        #expect(report.labelPairCount == 6 && report.chunkCount == 4)
        #expect(report.bytesByLabelName.first { $0.name == "job" }?.count == 16)
        let counted = harness.database.metrics.filter { $0.name == "vedette_tsdb_samples_over_limit_total" }
        #expect(counted.map(\.value) == [1, 4] && counted.last?.labels["limit"] == "target")
    }

    @Test func whatTellsWhetherATargetIsUpIsAlwaysTaken() throws {
        var harness = try DatabaseHarness()
        harness.options.seriesPerTargetMaximum = 3
        harness.options.seriesMaximum = 64
        try harness.restart()
        let many = (0..<5).map { (Labels.series("m\($0)"), Double($0)) }
        #expect(try harness.append(.scrape(many, at: start)).accepted == 3)
        // The target is full, and still the scraper's own five are stored; one more of their names is not.
        let reports = ScrapeReport.metricNames.map { (Labels.series($0), 1.0) }
        let another = (Labels.series("up").setting("more", to: "1"), 1.0)
        let receipt = try harness.append(.scrape(reports + [another], at: start + 1000))
        #expect(receipt.accepted == 5 && receipt.rejections.map(\.labels) == [another.0])
        #expect(try harness.append(.scrape(reports, at: start + 2000)).accepted == 5)
    }

    @Test func anInspectionSaysWhatIsInsideAndWhatADamagedPageCosts() throws {
        let harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<10)
        let block = harness.database.blocks.view.blocks[0].reader
        let whole = try BlockInspection(block.path, in: harness.storage)
        #expect(whole.damage.isEmpty && whole.seriesCount == 2 && whole.sampleCount == 20)
        #expect(whole.groups.map(\.samples) == [20] && whole.columns.reduce(0) { $0 + $1.samples } == 20)
        #expect(try BlockInspection.files(at: DatabaseHarness.folder, in: harness.storage) == [block.path])
        let strip = try block.groups()[0].strips[0]
        harness.storage.flipBit(
            3, ofByte: Int(strip.offset) + strip.headerByteCount + BlockFormat.pageHeaderByteCount, in: block.path)
        let page = try BlockInspection(block.path, in: harness.storage)
        #expect(page.damage.count == 2 && page.damage.allSatisfy { $0.contains("is lost") })
        harness.storage.flipBit(3, ofByte: Int(strip.offset) + 20, in: block.path)
        #expect(try BlockInspection(block.path, in: harness.storage).damage.first?.contains("20 samples") == true)
    }

    @Test func snapshotsOpenAsADatabase() throws {
        let harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<25)
        let all = try harness.samples()
        try harness.database.snapshot(to: "backup/one")
        let copy = try MetricDatabase.open(
            storage: harness.storage, folder: "backup/one", options: harness.options, wallClock: harness.clock)
        #expect(try DatabaseHarness.samples(of: copy, [], range: .all, in: harness.context) == all)
        copy.submit(.scrape([(.series("a"), 1)], at: start + 60_000)) { _ in }
        copy.drive()
        try copy.close()
        let again = try MetricDatabase.open(
            storage: harness.storage, folder: "backup/one", options: harness.options, wallClock: harness.clock)
        let found = try DatabaseHarness.samples(of: again, [], range: .all, in: harness.context)
        #expect(found[.series("a")]?.count == 26)
    }

    @Test func aFullDiskRefusesAndRecoversByItself() throws {
        let harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<5)
        harness.storage.setCapacity(0)
        var refusal: AppendRefusal?
        for tick in 5..<400 where refusal == nil {
            do { try fill(harness, ticks: tick..<tick + 1, sealEach: 1000) } catch let error as AppendRefusal {
                refusal = error
            }
        }
        #expect(refusal?.kind == .unavailable)
        guard case .refusing = harness.database.ingestHealth else {
            Issue.record("health is \(harness.database.ingestHealth)")
            return
        }
        #expect(harness.database.queryHealth == .ready)
        let before = try harness.samples()
        #expect(before[.series("a")]?.count ?? 0 >= 5)
        harness.storage.setCapacity(1 << 30)
        try fill(harness, ticks: 500..<501, sealEach: 1000)
        #expect(harness.database.ingestHealth == .ready)
        #expect(try harness.samples()[.series("a")]?.count == (before[.series("a")]?.count ?? 0) + 1)
    }

    @Test func aFailedFlushKeepsTheRowsAndIsTriedAgain() throws {
        let harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<9, sealEach: 1000)
        harness.storage.setCapacity(0)
        harness.database.maintain()
        #expect(harness.database.blocks.view.blocks.isEmpty)
        #expect(try harness.samples()[.series("a")]?.count == 9)
        harness.storage.setCapacity(1 << 30)
        for _ in 0..<5 { harness.database.maintain() }
        #expect(harness.database.blocks.view.blocks.count == 1)
        #expect(try harness.samples()[.series("a")]?.count == 9)
    }

    @Test func aFlippedBitIsAWarningThatNamesWhatIsMissing() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<20)
        let path = harness.database.blocks.view.blocks[0].reader.path
        let strip = try harness.database.blocks.view.blocks[0].reader.groups()[0].strips[0]
        harness.storage.flipBit(
            3, ofByte: Int(strip.offset) + strip.headerByteCount + BlockFormat.pageHeaderByteCount, in: path)
        try harness.restart()
        let context = harness.context
        let found = try harness.samples(in: context)
        #expect(found[.series("a")]?.count == 10 && found[.series("b")]?.count == 10)
        #expect(context.warnings.contains { $0.contains(path) && $0.contains("a{") && $0.contains("\(start)") })
        #expect(context.gaps.count == 2)
        #expect(harness.database.quarantine.map(\.path) == [path])
        try harness.database.seal()
        #expect(harness.database.blocks.view.blocks.count == 2)
    }

    @Test func damageOfTheLogIsToldInAnswersOverItsTimeOnly() throws {
        var harness = try DatabaseHarness()
        (harness.options.segmentBytes, harness.options.rowsPerChunk) = (64 << 10, 1_000)
        try harness.restart()
        try fill(harness, ticks: 0..<200, sealEach: 1_000)
        let segment = try #require(
            try harness.storage.list("\(DatabaseHarness.folder)/wal").map(\.name).sorted().last {
                (harness.storage.bytes(of: "\(DatabaseHarness.folder)/wal/\($0)")?.count ?? 0) > 1_000
            })
        let path = "\(DatabaseHarness.folder)/wal/\(segment)"
        // In the middle of what was written.
        let bytes = harness.storage.bytes(of: path) ?? []
        let used = bytes.lastIndex { $0 != 0 } ?? 0
        harness.storage.flipBit(3, ofByte: used / 2, in: path)
        // As a process that died would leave it: nothing sealed.
        let database = try MetricDatabase.open(
            storage: harness.storage.survivors(of: .kill), folder: DatabaseHarness.folder, options: harness.options,
            wallClock: harness.clock)
        let gap = try #require(database.logGaps.first)
        #expect(database.logGaps.count == 1)
        let context = harness.context
        _ = try DatabaseHarness.samples(of: database, [], range: .all, in: context)
        #expect(context.warnings.count == 1)
        #expect(context.warnings.first?.contains("of the log of metrics is damaged") == true)
        #expect(context.gaps.map(\.reason) == context.warnings)
        let before = harness.context
        let early = TimeRange(startMilliseconds: start, endMilliseconds: gap.times.startMilliseconds - 1)
        _ = try DatabaseHarness.samples(of: database, [], range: early, in: before)
        #expect(before.warnings == [] && early.endMilliseconds > start)
        #expect(gap.times.endMilliseconds < start + 200_000)
        // The rows behind the lost one build on it, up to the next full one.
        let rows = HeadRecordWriter.rowsPerChain
        #expect(gap.times.endMilliseconds - gap.times.startMilliseconds <= Int64(rows) * 1000)
        let found = try DatabaseHarness.samples(of: database, [], range: .all, in: harness.context)
        let lost = 200 - (found[.series("a")]?.count ?? 0)
        #expect(lost > 0 && lost < rows && found[.series("b")]?.count == 200 - lost)
        #expect(database.findings.contains { $0.contains("\(2 * (lost - 1)) samples") })
        for (time, bits) in found[.series("b")] ?? [:] {
            #expect(Double(bitPattern: bits) == Double((time - start) / 1000) * 0.5)
        }
    }

    @Test func aBlockWithoutAFooterIsSetAsideAndTold() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        try fill(harness, ticks: 0..<20)
        let path = harness.database.blocks.view.blocks[0].reader.path
        let size = harness.storage.bytes(of: path)?.count ?? 0
        harness.storage.flipBit(0, ofByte: size - 30, in: path)
        try harness.restart()
        #expect(harness.database.quarantine.count == 1)
        #expect(harness.database.findings.count == 1)
        let context = harness.context
        #expect(try harness.samples(in: context)[.series("a")]?.count == 10)
        #expect(context.warnings.count == 1)
        try harness.restart()
        #expect(harness.database.quarantine.first?.reason.contains("checksum") == true)
        try fill(harness, ticks: 20..<30)
        #expect(try harness.samples()[.series("a")]?.count == 20)
    }

    @Test func aNewerFormatIsRefusedByName() throws {
        var harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<10)
        let path = harness.database.blocks.view.blocks[0].reader.path
        var bytes = try #require(harness.storage.bytes(of: path))
        bytes[4] = 9
        harness.storage.replaceBytes(of: path, with: bytes)
        #expect(throws: StorageError.self) { try harness.restart() }
    }

    @Test func idleSeriesAreForgottenAndComeBackWhole() throws {
        let harness = try DatabaseHarness()
        _ = try harness.append(.scrape([(.series("gone", instance: "x"), 1)], at: start))
        for round in 0..<5 {
            _ = try harness.append(.scrape([(.series("a"), 1)], at: start + Int64(round) * 1000))
            try harness.database.seal()
        }
        #expect(harness.database.cardinality(limit: 10).total == 1)
        _ = try harness.append(.scrape([(.series("gone", instance: "x"), 2)], at: start + 9000))
        #expect(try harness.samples()[.series("gone", instance: "x")]?.count == 2)
    }

    @Test func metadataSurvivesSealsAndRestarts() throws {
        var harness = try DatabaseHarness()
        var batch = SampleBatch.scrape([(.series("a"), 1)], at: start)
        batch.metadata = [MetricMetadata(metricName: "a", kind: .counter, unit: "seconds", help: "Time.")]
        _ = try harness.append(batch)
        try harness.database.seal()
        try harness.restart()
        let found = try harness.database.metadata(metricName: "a", limit: 0, in: harness.context)
        #expect(found == batch.metadata)
    }

    @Test func metricsCarryThePrefixAndMemoryIsGivenBack() throws {
        let harness = try DatabaseHarness()
        try fill(harness, ticks: 0..<20)
        _ = try harness.samples()
        #expect(harness.database.metrics.allSatisfy { $0.name.hasPrefix("vedette_tsdb_") && !$0.help.isEmpty })
        let held = harness.database.memoryBytes
        #expect(harness.database.releaseMemory(bytes: 1 << 30) > 0)
        #expect(harness.database.memoryBytes < held)
        try harness.database.close()
        #expect(throws: MetricDatabaseError.self) { try harness.samples() }
        #expect(throws: AppendRefusal.self) { try harness.append(.scrape([(.series("a"), 1)], at: start)) }
    }
}
