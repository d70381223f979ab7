/// What the agent may take of its host.
package struct SelfLimits: Sendable, Equatable {
    /// Of one processor: 0.1 is a tenth.
    package var processorShare: Double
    /// Resident memory.
    package var memoryBytes: UInt64
    /// Over how long use is measured before a step is taken.
    var windowNanoseconds: Int64 = 10_000_000_000

    /// Limits; 0 is none.
    package init(processorShare: Double = 0.1, memoryBytes: UInt64 = 256 << 20) {
        self.processorShare = processorShare
        self.memoryBytes = memoryBytes
    }
}

/// Decides how often metrics are read, so that the agent never takes more of its host than it may: every interval,
/// every fifth, every fifteenth, and back again. Pure: usage and time are arguments.
struct DegradeLadder: Sendable {
    /// Intervals between two readings, by step.
    static let factors = [1, 5, 15]

    /// What one look changed.
    struct Change: Equatable, Sendable {
        var from: Int
        var to: Int
        /// Why, for people.
        var reason: String
    }

    /// The agent's use of its host so far.
    struct Usage: Equatable, Sendable {
        /// CPU time of all of it, and of what a slower step makes less of.
        var cpuSeconds: Double
        var collectionSeconds: Double
        var memoryBytes: UInt64
    }

    /// So many good windows lead back; twice as many each time that the way back was too early, up to the bound.
    private static let goodWindowsMinimum = 6
    private static let goodWindowsMaximum = 90

    private let limits: SelfLimits
    private var start: (usage: Usage, nanoseconds: Int64)?
    private var goodWindows = 0
    private var goodWindowsNeeded = DegradeLadder.goodWindowsMinimum
    /// Nil until the ladder was left downwards for the first time.
    private var windowsSinceReturn: Int?
    private var collectionShare: Double = 0
    /// Which of `factors` holds.
    private(set) var step = 0
    /// The share of one processor that was taken in the last window.
    private(set) var processorShare: Double = 0

    /// A ladder that begins at its finest step.
    init(_ limits: SelfLimits) {
        self.limits = limits
    }

    /// Intervals between two readings now.
    var factor: Int { Self.factors[step] }

    /// Takes the agent's use of its host at `now` (monotonic); says when the step changed.
    mutating func judge(_ usage: Usage, atNanoseconds now: Int64) -> Change? {
        guard let start else {
            self.start = (usage, now)
            return nil
        }
        let elapsed = now - start.nanoseconds
        guard elapsed >= limits.windowNanoseconds else { return nil }
        self.start = (usage, now)
        let seconds = Double(elapsed) / 1e9
        processorShare = max(0, usage.cpuSeconds - start.usage.cpuSeconds) / seconds
        collectionShare = max(0, usage.collectionSeconds - start.usage.collectionSeconds) / seconds
        windowsSinceReturn = windowsSinceReturn.map { $0 + 1 }
        if let reason = excess(usage.memoryBytes) {
            goodWindows = 0
            guard step + 1 < Self.factors.count else { return nil }
            if let windows = windowsSinceReturn, windows <= 2 * goodWindowsNeeded {
                goodWindowsNeeded = min(Self.goodWindowsMaximum, goodWindowsNeeded * 2)
            }
            return change(to: step + 1, reason)
        }
        guard step > 0 else { return nil }
        goodWindows = isGood(usage.memoryBytes) ? goodWindows + 1 : 0
        guard goodWindows >= goodWindowsNeeded else { return nil }
        goodWindows = 0
        windowsSinceReturn = 0
        return change(to: step - 1, "the agent has been well within its limits")
    }

    private mutating func change(to next: Int, _ reason: String) -> Change {
        defer { step = next }
        return Change(from: step, to: next, reason: reason)
    }

    private func excess(_ memoryBytes: UInt64) -> String? {
        if limits.processorShare > 0, processorShare > limits.processorShare {
            return "it took \(percent(processorShare)) of a processor, \(percent(limits.processorShare)) are allowed"
        }
        if limits.memoryBytes > 0, memoryBytes > limits.memoryBytes {
            return "it holds \(memoryBytes >> 20) MiB of memory, \(limits.memoryBytes >> 20) MiB are allowed"
        }
        return nil
    }

    /// Whether the finer step would be within the limits, too, with some room.
    private func isGood(_ memoryBytes: UInt64) -> Bool {
        let growth = Double(Self.factors[step]) / Double(Self.factors[step - 1])
        let expected = processorShare + collectionShare * (growth - 1)
        let isCalm = limits.processorShare <= 0 || expected < 0.8 * limits.processorShare
        let isSmall = limits.memoryBytes == 0 || Double(memoryBytes) < 0.9 * Double(limits.memoryBytes)
        return isCalm && isSmall
    }

    private func percent(_ share: Double) -> String { "\((share * 1_000).rounded() / 10) %" }
}
