/// How long to wait before the next try: full jitter between nothing and a ceiling that doubles, so that ten thousand
/// agents do not come back at once (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
struct Backoff {
    private let firstMilliseconds: Int
    private let lastMilliseconds: Int
    private var ceiling: Int

    /// Ceilings from `firstMilliseconds` to `lastMilliseconds`.
    init(firstMilliseconds: Int = 250, lastMilliseconds: Int = 8_000) {
        self.firstMilliseconds = firstMilliseconds
        self.lastMilliseconds = lastMilliseconds
        ceiling = firstMilliseconds
    }

    /// The time to wait after another failure; not less than what the server asked for.
    mutating func next(
        atLeastSeconds: Int = 0, using generator: inout some RandomNumberGenerator
    ) -> Int {
        let jittered = Int.random(in: ceiling / 4...ceiling, using: &generator)
        ceiling = min(ceiling * 2, lastMilliseconds)
        // What a server asks for is bounded too: a wrong number must not silence an agent for days.
        let asked = min(max(0, atLeastSeconds), 300) * 1000
        if asked == 0 { return jittered }
        // Ten thousand that were refused in one moment must not come back in one moment.
        return asked + max(jittered, Int.random(in: 0...asked / 2, using: &generator))
    }

    /// It worked.
    mutating func reset() { ceiling = firstMilliseconds }
}
