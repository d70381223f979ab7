/// A small deterministic generator (SplitMix64, Steele et al. 2014): the same seed gives the same test on any machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator for `seed`.
    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number from `range`.
    package mutating func int(in range: Range<Int>) -> Int { Int.random(in: range, using: &self) }

    /// True once in `n` times.
    package mutating func oneIn(_ n: Int) -> Bool { int(in: 0..<n) == 0 }

    /// `count` random bytes.
    package mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// One element, which must exist.
    package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[int(in: 0..<elements.count)] }
}
