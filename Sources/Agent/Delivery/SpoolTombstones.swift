internal import Telemetry

/// Names a batch within one agent.
struct SpoolBatchKey: Hashable {
    var epoch: UInt64
    var lane: DeliveryIdentity.Lane
    var sequence: UInt64

    /// The batch of a sequence.
    init(epoch: UInt64, lane: DeliveryIdentity.Lane, sequence: UInt64) {
        self.epoch = epoch
        self.lane = lane
        self.sequence = sequence
    }

    /// The batch of a record.
    init(_ record: SpoolRecord) {
        self.init(epoch: record.epoch, lane: record.lane, sequence: record.sequence)
    }
}

/// What stands in for lines that were given up.
enum SpoolTombstones {
    /// One loss per stream and origin, with the span and the counts of all of them.
    static func merge(_ losses: [LogLoss]) -> [LogLoss] {
        struct Key: Hashable {
            var labels: Labels
            var origin: LogOrigin?
        }
        var merged: [Key: LogLoss] = [:]
        var order: [Key] = []
        for loss in losses {
            let key = Key(labels: loss.labels, origin: loss.origin)
            guard var known = merged[key] else {
                merged[key] = loss
                order.append(key)
                continue
            }
            known.range.startNanoseconds = min(known.range.startNanoseconds, loss.range.startNanoseconds)
            known.range.endNanoseconds = max(known.range.endNanoseconds, loss.range.endNanoseconds)
            known.lines += loss.lines
            known.bytes += loss.bytes
            merged[key] = known
        }
        return order.compactMap { merged[$0] }.map { loss in
            var loss = loss
            if loss.reason.isEmpty { loss.reason = "spool full" }
            return loss
        }
    }
}
