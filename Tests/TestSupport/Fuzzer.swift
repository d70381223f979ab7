/// One seeded fuzzer: the same seed and number of events do the same thing on any machine.
package protocol Fuzzer: Sendable {
    /// The name it is called by: `make fuzz NAME=… SEED=… EVENTS=…`.
    static var name: String { get }
    /// Throws `FuzzFinding` when the code under test broke a promise.
    static func run(seed: UInt64, events: Int) throws
}

/// What a fuzzer found, with what is needed to see it again.
package struct FuzzFinding: Error, CustomStringConvertible {
    package let seed: UInt64
    package let event: Int
    package let what: String

    /// A broken promise at `event` of `seed`.
    package init(seed: UInt64, event: Int, _ what: String) {
        self.seed = seed
        self.event = event
        self.what = what
    }

    package var description: String { "seed \(seed), event \(event): \(what)" }
}
