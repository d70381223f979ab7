/// Numbers of series by their labels, which are kept elsewhere. Each place holds a hash beside the number, so that a
/// search reads the labels of the series it finds and of hardly any other; a dictionary reads those of all it passes.
package struct LabelTable: Sendable {
    /// The hash in the upper half, the number and one in the lower; 0 is a free place.
    @usableFromInline var places: [UInt64]
    package private(set) var count = 0

    /// An empty table.
    package init() {
        places = [UInt64](repeating: 0, count: 64)
    }

    /// What `find` and `add` want.
    package static func hash(_ labels: Labels) -> UInt32 {
        var hasher = Hasher()
        labels.hash(into: &hasher)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// The memory held.
    package var memoryBytes: Int { places.count * 8 }

    /// The number with that hash for which `isSame` holds; nil when there is none.
    @inlinable
    package func find(_ hash: UInt32, isSame: (Int) -> Bool) -> Int? {
        var place = Int(hash) & (places.count - 1)
        while places[place] != 0 {
            if Self.hash(in: places[place]) == hash {
                let number = Int(places[place] & 0xffff_ffff) - 1
                if isSame(number) { return number }
            }
            place = (place + 1) & (places.count - 1)
        }
        return nil
    }

    /// Adds a number that is not there.
    package mutating func add(_ number: Int, _ hash: UInt32) {
        if (count + 1) * 4 > places.count * 3 { grow() }
        put(UInt64(hash) << 32 | UInt64(number + 1))
        count += 1
    }

    private mutating func put(_ entry: UInt64) {
        var place = Int(Self.hash(in: entry)) & (places.count - 1)
        while places[place] != 0 { place = (place + 1) & (places.count - 1) }
        places[place] = entry
    }

    private mutating func grow() {
        let old = places
        places = [UInt64](repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 { put(entry) }
    }

    @usableFromInline static func hash(in entry: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: entry >> 32) }
}
