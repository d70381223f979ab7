/// A run of bytes in a segment that is no frame any more, and what it cost.
package struct LogDamage: Sendable, Equatable, CustomStringConvertible {
    package var path: String
    package var bytes: Range<UInt64>
    /// Frames that stood there and are gone.
    package var framesLost: UInt64

    package var description: String {
        "segment \(path) is damaged from byte \(bytes.lowerBound) to \(bytes.upperBound): "
            + "\(framesLost) \(framesLost == 1 ? "frame is" : "frames are") lost; everything before and behind was kept"
    }
}

/// What opening a log found and did.
package struct LogRecovery: Sendable, Equatable, CustomStringConvertible {
    /// Whole segments that are there.
    package var segments = 0
    /// Bytes behind the last whole frame that were cut off: a write that a crash interrupted. (Damage to the very last
    /// frames looks the same.)
    package var tornBytes: UInt64 = 0
    /// Where they began.
    package var tornPath = ""
    package var tornOffset: UInt64 = 0
    /// Frames in damaged places of the last segment that had been synced. Damage in older segments is found, and told,
    /// when they are read.
    package var framesLost: UInt64 = 0
    /// Missing frames of the last batch, of which nobody knows that it was ever synced: as a rule a power cut between
    /// write and sync, and nothing that had been acknowledged.
    package var unconfirmedFramesLost: UInt64 = 0
    /// Bytes of the last segment that the medium did not give back.
    package var unreadableBytes: UInt64 = 0
    /// The damaged places of the last segment, the first `damageMaximum` of them.
    package var damage: [LogDamage] = []
    /// Segments whose first bytes are damaged, under the name they were renamed to.
    package var quarantined: [String] = []
    /// Segments whose first bytes were damaged and were found again from the frame behind them: no frame of them is
    /// lost.
    package var mended: [String] = []

    /// More places than this are counted, not listed.
    package static let damageMaximum = 100

    /// Nothing found yet.
    init() {}

    /// Whether everything was as a clean shutdown leaves it.
    package var isClean: Bool { self == LogRecovery(segments: segments) }

    private init(segments: Int) {
        self.segments = segments
    }

    /// For the operator: what was repaired at the newest end and at the beginnings of segments, one sentence each.
    package var repairs: [String] {
        var sentences: [String] = []
        if tornBytes > 0 {
            sentences.append(
                "cut off \(tornBytes) bytes from byte \(tornOffset) of \(tornPath) on, behind its last whole frame: "
                    + "a write that a crash interrupted before its sync, or damage to the newest records, which looks "
                    + "the same; after a clean stop check the disk")
        }
        if unconfirmedFramesLost > 0 {
            sentences.append(
                "\(unconfirmedFramesLost) frames of the last batch did not reach the disk; no sync is on record")
        }
        sentences += mended.map {
            "the first bytes of segment \($0) were damaged; they were found again from the frame behind them and "
                + "written anew, nothing of it is lost; check the disk"
        }
        return sentences
    }

    /// For the operator: one sentence per finding.
    package var description: String {
        var sentences = repairs + damage.map(\.description)
        if unreadableBytes > 0 {
            sentences.append(
                "the device did not give back \(unreadableBytes) bytes, which were left alone: check the disk")
        }
        sentences += quarantined.map {
            "the first bytes of a segment are damaged, it was set aside as \($0) and its frames are lost to this log"
        }
        return sentences.isEmpty ? "nothing was damaged" : sentences.joined(separator: "; ")
    }
}

/// What a reading pass went through.
package struct LogReplay: Sendable, Equatable {
    /// Frames handed to the reader.
    package var frames: UInt64 = 0
    /// Frames within the range that are gone.
    package var framesLost: UInt64 = 0
    /// The damaged places passed, the first `LogRecovery.damageMaximum` of them.
    package var damage: [LogDamage] = []
    /// Where to go on reading.
    package var next: LogPosition

    /// A pass that begins at `next`.
    init(next: LogPosition) {
        self.next = next
    }
}
