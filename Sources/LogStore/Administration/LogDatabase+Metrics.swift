internal import Disk
internal import Synchronization
package import Telemetry

/// The store's own counters and gauges, under the names of `/metrics`.
extension LogDatabase {
    package var metrics: [StoreMetric] {
        let (counters, streams, parts, head) = state.withLock { state in
            (state.counters, state.streams.count, state.parts, (bytes: state.headBytes, lines: state.headLines))
        }
        let status = log.status
        let partBytes = parts.reduce(0) { $0 + Int(clamping: $1.reader.fileBytes) }
        let blockCount = parts.reduce(0) { $0 + $1.reader.footer.blocks.count }
        let lines = parts.reduce(0) { $0 + $1.reader.footer.blocks.reduce(0) { $0 + $1.lines } }
        return LogDatabase.ingest(counters) + LogDatabase.refusals(counters) + [
            gauge("streams", streams, "Streams that have lines."),
            gauge("head_bytes", head.bytes, "Memory of lines that are not yet in a part."),
            gauge("head_lines", head.lines, "Lines that are not yet in a part."),
            gauge("parts", parts.count, "Parts on disk."),
            gauge("part_bytes", partBytes, "Bytes of all parts on disk."),
            gauge("part_blocks", blockCount, "Blocks of all parts."),
            gauge("part_lines", lines, "Lines of all parts."),
            gauge("wal_bytes", Int(clamping: status.bytesOnDisk), "Bytes of the write-ahead log on disk."),
            gauge("wal_queue_bytes", log.queuedBytes, "Bytes that wait to be written to the log."),
            gauge("wal_poisoned", status.poison == nil ? 0 : 1, "1 after a failed sync: lines are refused."),
            gauge("wal_out_of_space", status.isOutOfSpace ? 1 : 0, "1 while the disk is full."),
            counter("wal_records_total", Int(clamping: status.records), "Batches written to the log."),
            counter("wal_written_bytes_total", Int(clamping: status.bytes), "Bytes written to the log."),
            counter("wal_syncs_total", Int(clamping: status.syncs), "Syncs of the log."),
            gauge("cache_bytes", blocks.bytes, "Memory of blocks that queries have opened."),
            gauge("quarantined", quarantine.count, "Findings of damage since the store was opened."),
        ]
    }

    private static func ingest(_ counters: StoreCounters) -> [StoreMetric] {
        [
            counter("lines_total", counters.lines, "Lines stored."),
            counter("line_bytes_total", counters.lineBytes, "Bytes of lines stored."),
            counter("batches_total", counters.batches, "Batches applied."),
            counter("duplicate_batches_total", counters.duplicateBatches, "Batches that were stored before."),
            counter("duplicate_lines_total", counters.duplicateLines, "Lines that were stored before."),
            counter(
                "overlapping_lines_total", counters.overlappingLines,
                "Lines that overlap stored bytes of their source without being among them; both are kept."),
            counter("truncated_lines_total", counters.truncatedLines, "Lines cut at the longest length."),
            counter("transformed_lines_total", counters.transformedLines, "Lines changed before they were logged."),
            counter("loss_records_total", counters.lossRecords, "Records of lines that will not come."),
            counter("sealed_parts_total", counters.sealedParts, "Parts written."),
            counter("merged_parts_total", counters.mergedParts, "Parts that were put together with others."),
            counter(
                "trimmed_lines_total", counters.trimmedLines,
                "Lines taken out of parts: deleted, or of a source beyond its share of the room."),
            counter("expired_parts_total", counters.expiredParts, "Parts removed by the retention."),
            counter("replayed_batches_total", counters.replayedBatches, "Batches replayed at the start."),
            counter("tail_missed_lines_total", counters.tailMissedLines, "Lines that slow tails were told to fetch."),
        ]
    }

    private static func refusals(_ counters: StoreCounters) -> [StoreMetric] {
        [
            counter("rejected_lines_total", counters.rejectedLines, "Lines refused by a limit."),
            counter(
                "limited_lines_total", counters.limitedLines,
                "Lines refused because their stream or source sent too much at once."),
            counter("ahead_lines_total", counters.aheadLines, "Lines refused because they are ahead of the clock."),
            counter("overloaded_appends_total", counters.overloadedAppends, "Batches refused as too much at once."),
            counter("unavailable_appends_total", counters.unavailableAppends, "Batches refused by the disk."),
            counter("seal_failures_total", counters.sealFailures, "Parts that could not be written."),
            counter("merge_failures_total", counters.mergeFailures, "Merges that were given up."),
            counter("cut_failures_total", counters.cutFailures, "Times the log could not be cut behind a part."),
            counter(
                "unreadable_batches_total", counters.unreadableBatches, "Batches of the log a restart could not read."),
            counter("damaged_blocks_total", counters.damagedBlocks, "Blocks that could not be read."),
        ]
    }

    private static func counter(_ name: String, _ value: Int, _ help: String) -> StoreMetric {
        StoreMetric("vedette_logs_" + name, .counter, Double(value), help: help)
    }

    private func counter(_ name: String, _ value: Int, _ help: String) -> StoreMetric {
        LogDatabase.counter(name, value, help)
    }

    private func gauge(_ name: String, _ value: Int, _ help: String) -> StoreMetric {
        StoreMetric("vedette_logs_" + name, .gauge, Double(value), help: help)
    }
}
