internal import Glibc
internal import Synchronization
internal import Telemetry

/// How near the process is to its memory cap.
enum MemoryLevel: Int, Sendable, Comparable {
    case normal = 0
    /// Above four fifths: caches shrink.
    case tight = 1
    /// Above the cap: no new queries.
    case over = 2
    /// An eighth above it: no new data either.
    case critical = 3

    /// The level of `resident` bytes under a cap of `cap` bytes (0: no cap).
    init(resident: Int, cap: Int) {
        if cap <= 0 || resident <= cap / 5 * 4 {
            self = .normal
        } else if resident <= cap {
            self = .tight
        } else if resident <= cap + cap / 8 {
            self = .over
        } else {
            self = .critical
        }
    }

    static func < (left: MemoryLevel, right: MemoryLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Watches the process' resident memory against the one cap: caches shrink, then queries are refused, then ingest.
/// Who holds most (the stores) is asked first.
final class MemoryGuard: Sendable {
    private let cap: Int
    /// Give back about so many bytes, and say how many it were.
    private let holders: [@Sendable (Int) -> Int]
    private let level = Atomic<Int>(0)
    private let resident = Atomic<Int>(0)
    private let releases = Atomic<Int>(0)
    /// Resident bytes when the allocator last gave back what it had, and looks since then.
    private let trimmed = Atomic<Int>(0)
    private let looksUntrimmed = Atomic<Int>(0)

    /// So much growth since the allocator was last asked is worth asking it again, at most every so many looks: after a
    /// burst of data or queries most of it lies unused in its lists.
    private static let trimBytes = 8 << 20
    private static let trimLooks = 5
    /// Once in so many looks it is asked in any case: caches may have gone without the process having grown.
    private static let trimLooksMaximum = 60
    private let looked = Atomic<UInt64>(0)

    init(cap: Int, holders: [@Sendable (Int) -> Int]) {
        self.cap = cap
        self.holders = holders
    }

    /// How often it looked.
    var looks: UInt64 { looked.load(ordering: .relaxed) }

    /// Looks at the process once and lets the stores give back what they can. Blocks; called by a thread of its own.
    func look(residentBytes: Int) {
        looked.add(1, ordering: .relaxed)
        var bytes = residentBytes
        if MemoryLevel(resident: bytes, cap: cap) > .normal {
            let wanted = bytes - cap / 4 * 3
            let freed = holders.reduce(0) { $0 + ($0 < wanted ? $1(wanted - $0) : 0) }
            if freed > 0 { releases.add(1, ordering: .relaxed) }
            if freed > 0 || MemoryLevel(resident: bytes, cap: cap) > .tight {
                // What was freed, here or by queries that have ended, lies in the allocator's lists until it is told
                // to give it back.
                Allocator.giveBack()
                bytes = max(0, min(bytes, ProcessUsage.residentBytes))
            }
        }
        bytes = trim(bytes)
        resident.store(bytes, ordering: .relaxed)
        level.store(MemoryLevel(resident: bytes, cap: cap).rawValue, ordering: .relaxed)
    }

    private func trim(_ bytes: Int) -> Int {
        let last = trimmed.load(ordering: .relaxed)
        if bytes < last { trimmed.store(bytes, ordering: .relaxed) }
        let count = looksUntrimmed.add(1, ordering: .relaxed).newValue
        let hasGrown = count >= MemoryGuard.trimLooks && bytes - last > MemoryGuard.trimBytes
        guard hasGrown || count >= MemoryGuard.trimLooksMaximum else { return bytes }
        looksUntrimmed.store(0, ordering: .relaxed)
        Allocator.giveBack()
        let left = max(0, min(bytes, ProcessUsage.read().residentBytes))
        trimmed.store(left, ordering: .relaxed)
        return left
    }

    private var current: MemoryLevel { MemoryLevel(rawValue: level.load(ordering: .relaxed)) ?? .normal }

    /// Whether there is none left.
    var isOver: Bool { current >= .over }

    /// Why no query is taken now; nil when they are.
    var queryRefusal: String? { current >= .over ? words("queries are refused") : nil }

    /// Why no data is taken now; nil when it is.
    var ingestRefusal: String? { current >= .critical ? words("queries and data are refused") : nil }

    private func words(_ what: String) -> String {
        let used = ByteSizes.binary(Int64(resident.load(ordering: .relaxed)))
        return
            "the process holds \(used) of memory, more than its cap of \(ByteSizes.binary(Int64(cap))): \(what) until "
            + "there is room. Narrow queries, lower cardinality (GET /api/v1/status/tsdb), or raise --memory"
    }

    var readings: [StoreMetric] {
        [
            StoreMetric("vedette_memory_cap_bytes", .gauge, Double(cap), help: "The cap of --memory."),
            StoreMetric(
                "vedette_memory_level", .gauge, Double(current.rawValue),
                help: "0 normal, 1 caches shrink, 2 queries are refused, 3 ingest is refused."),
            StoreMetric(
                "vedette_memory_releases_total", .counter, Double(releases.load(ordering: .relaxed)),
                help: "How often caches were made to shrink."),
        ]
    }
}
