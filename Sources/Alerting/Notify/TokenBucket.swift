/// Spends messages below what a provider stands. Time is handed in; a clock that jumps back costs nothing but waiting.
struct TokenBucket: Sendable {
    private let burst: Double
    private let perSecond: Double
    private var tokens: Double
    private var filledAt: Int64

    /// A full bucket.
    init(_ limits: DeliveryLimits, now: Int64) {
        burst = max(1, limits.burst)
        perSecond = max(0.001, limits.perSecond)
        tokens = burst
        filledAt = now
    }

    /// Takes a token; nil when there was one, otherwise the time when there will be.
    mutating func take(now: Int64) -> Int64? {
        tokens = min(burst, tokens + Double(max(0, now - filledAt)) / 1000 * perSecond)
        filledAt = now
        guard tokens < 1 else {
            tokens -= 1
            return nil
        }
        return now + Int64(((1 - tokens) / perSecond * 1000).rounded(.up))
    }
}
