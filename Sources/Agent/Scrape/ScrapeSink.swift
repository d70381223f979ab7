package import Telemetry

/// Where scraped samples go: in a server straight to the store, in an agent to the spool.
package protocol ScrapeSink: Sendable {
    /// Takes what one scrape gave, all of one time. Throws when it was not taken.
    func take(_ batch: SampleBatch) async throws -> AppendReceipt
}

/// Straight to a store: a scrape is as durable as the server's own disk, with no network in between.
package struct StoreScrapeSink: ScrapeSink {
    private let store: any SampleAppender

    /// A sink into `store`.
    package init(_ store: any SampleAppender) {
        self.store = store
    }

    package func take(_ batch: SampleBatch) async throws -> AppendReceipt { try await store.append(batch) }
}

/// Into the agent's spool, in pieces that fit into a batch: what is scraped while the server is away is not lost.
struct SpoolScrapeSink: ScrapeSink {
    /// The most samples of one batch; with labels of usual length that is about 2 MiB.
    static let pieceSamplesMaximum = 10_000

    let spool: Spool

    func take(_ batch: SampleBatch) async throws -> AppendReceipt {
        for piece in SpoolScrapeSink.pieces(of: batch) { spool.submit(piece, isUrgent: false) }
        return AppendReceipt(accepted: batch.sampleCount)
    }

    /// The batch cut into ones of at most `pieceSamplesMaximum` samples; metadata travels with the first.
    static func pieces(of batch: SampleBatch) -> [SampleBatch] {
        guard batch.sampleCount > pieceSamplesMaximum else { return [batch] }
        var pieces: [SampleBatch] = []
        for group in batch.groups {
            for start in stride(from: 0, to: group.values.count, by: pieceSamplesMaximum) {
                let end = min(start + pieceSamplesMaximum, group.values.count)
                let metadata = pieces.isEmpty ? batch.metadata : []
                pieces.append(SampleBatch(groups: [group.slice(start..<end)], metadata: metadata))
            }
        }
        return pieces
    }
}

extension SampleGroup {
    /// The samples of `range` with no other series than theirs.
    fileprivate func slice(_ range: Range<Int>) -> SampleGroup {
        var slice = SampleGroup(target: target, intervalMilliseconds: intervalMilliseconds)
        var places: [UInt32: UInt32] = [:]
        for index in range {
            let place = places[seriesIndexes[index]] ?? UInt32(slice.series.count)
            if place == slice.series.count {
                places[seriesIndexes[index]] = place
                slice.series.append(series[Int(seriesIndexes[index])])
            }
            slice.seriesIndexes.append(place)
            slice.timesMilliseconds.append(timesMilliseconds[index])
            slice.values.append(values[index])
        }
        for var exemplar in exemplars {
            guard let place = places[exemplar.seriesIndex] else { continue }
            exemplar.seriesIndex = place
            slice.exemplars.append(exemplar)
        }
        return slice
    }
}
