internal import Telemetry

/// How a block came to be: by a flush, or by merging others.
struct BlockHistory: Sendable, Equatable {
    /// More inputs than this are damage.
    static let replacedMaximum = 1024

    /// 0 for a flush, else one more than the highest level among what was merged.
    var level: Int
    /// Of two samples of a series at one time, the one in the block of the lower rank stays: it came first. A flush has
    /// its number, a merged block the lowest rank among what was merged.
    var rank: UInt64
    /// The blocks that were merged into it, whose files may still be there. Nil in files that do not say it: then those
    /// whose numbers lie within its own.
    var replaced: [BlockSequence]?

    /// The history of a flush.
    init(flush sequence: BlockSequence) {
        (level, rank, replaced) = (0, sequence.first, [])
    }

    /// The history of a merge of these.
    init(merging inputs: [Block]) {
        level = (inputs.map(\.history.level).max() ?? 0) + 1
        rank = inputs.map(\.history.rank).min() ?? 0
        replaced = inputs.map(\.sequence)
    }

    /// What is known of a file that says nothing: merges took eight flushes at a time, and all in a row.
    init(silent sequence: BlockSequence) {
        var flushes = sequence.last - sequence.first + 1
        level = 0
        while flushes >= 8 {
            flushes /= 8
            level += 1
        }
        (rank, replaced) = (sequence.first, nil)
    }

    /// Appends level, rank and what was replaced.
    func encode(into writer: inout ByteWriter) {
        writer.putVarint(UInt64(level))
        writer.putVarint(rank)
        writer.putVarint(UInt64(replaced?.count ?? 0))
        for sequence in replaced ?? [] { sequence.encode(into: &writer) }
    }

    /// Reads what `encode` wrote.
    init(from reader: inout ByteReader) throws(ByteError) {
        level = try reader.count(upTo: 64, "level")
        rank = try reader.varint()
        var replaced: [BlockSequence] = []
        for _ in 0..<(try reader.count(upTo: Self.replacedMaximum, "merged blocks")) {
            replaced.append(try BlockSequence(from: &reader))
        }
        self.replaced = replaced
    }
}

extension BlockSequence {
    /// Appends the first number, and how many more there are.
    func encode(into writer: inout ByteWriter) {
        writer.putVarint(first)
        writer.putVarint(last - first)
    }

    /// Reads what `encode` wrote.
    init(from reader: inout ByteReader) throws(ByteError) {
        let first = try reader.varint()
        let span = try reader.varint()
        guard first > 0, span < UInt64.max - first else {
            throw ByteError(offset: reader.offset, reason: "sequence numbers are out of range")
        }
        self.init(first: first, last: first + span)
    }
}
