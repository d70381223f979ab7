/// Decides what to do with one tailed file: read on, start over after a truncation, drain after a rotation, let go.
/// Pure: what is seen and the time go in, a step comes out.
struct TailState: Equatable {
    /// What a look at the file and its name shows.
    struct Sight: Equatable {
        var sizeBytes: UInt64
        /// Whether the name the tailer follows still means this file.
        var isNamed: Bool
        /// Whether the file has no name at all any more, so that only the tailer keeps its bytes on the disk.
        var isDeleted: Bool
        /// Whether the log's name means another file by now, so that the writer is surely at that one.
        var isReplaced = true
        /// Whether all deleted files together keep more on the disk than they may.
        var isOverBudget = false
    }

    /// What to do next.
    enum Step: Equatable {
        /// Nothing new.
        case wait
        /// Read from `offset` on.
        case read
        /// The file was cut: a new generation begins at offset 0. What was read of a line is all there will be of it.
        case startOver
        /// Everything was read and nothing more will come: flush and close.
        case close
        /// Deleted, too much to keep on the disk for a server that does not take it: say what is lost and close.
        case abandon(lostBytes: UInt64)
    }

    /// Rises with each truncation.
    private(set) var generation: UInt64
    /// How far the file was read.
    private(set) var offset: UInt64
    /// When the file was first seen without its name and wholly read, monotonic.
    private var drainedSince: Int64?

    /// A writer that was just rotated away may still write its last bytes.
    static let quietNanoseconds: Int64 = 1_000_000_000
    /// As long as there is no new file the writer surely goes on in this one.
    static let unreplacedNanoseconds: Int64 = 5_000_000_000
    /// A deleted file keeps its room on the disk; beyond this it is given up rather than filling the host's disk.
    static let heldBytesMaximum: UInt64 = 256 << 20

    /// A file of which everything before `offset` was read.
    init(generation: UInt64 = 0, offset: UInt64 = 0) {
        self.generation = generation
        self.offset = offset
    }

    /// What to do after a look at `now` (monotonic); `isAccepting` says whether there is room for what would be read.
    mutating func look(_ sight: Sight, isAccepting: Bool, atNanoseconds now: Int64) -> Step {
        if sight.sizeBytes < offset { return startOver() }
        if sight.sizeBytes > offset {
            drainedSince = nil
            if isAccepting { return .read }
            let backlog = sight.sizeBytes - offset
            let isTooMuch = backlog > Self.heldBytesMaximum || sight.isOverBudget
            return sight.isDeleted && isTooMuch ? .abandon(lostBytes: backlog) : .wait
        }
        guard !sight.isNamed else {
            drainedSince = nil
            return .wait
        }
        guard let since = drainedSince else {
            drainedSince = now
            return .wait
        }
        let quiet = sight.isReplaced ? Self.quietNanoseconds : Self.unreplacedNanoseconds
        return now - since >= quiet ? .close : .wait
    }

    /// Bytes up to `offset` were read.
    mutating func advance(to offset: UInt64) { self.offset = offset }

    /// What stands in front of `offset` is not what was read there: the file was cut and grew again beyond it.
    mutating func contentChanged() { _ = startOver() }

    private mutating func startOver() -> Step {
        generation += 1
        offset = 0
        drainedSince = nil
        return .startOver
    }
}
