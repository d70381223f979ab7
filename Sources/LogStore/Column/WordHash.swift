/// A hash of short texts that is the same in every process: filters on disk are made of it.
///
/// Shape: eight bytes at a time, little-endian, the last ones padded with zeros; each folded in by xor, a
/// multiplication
/// with 0x9e3779b97f4a7c15 and a shift of 29 bits to the right; begun with the length, ended by the finalizer of
/// SplitMix64 (Steele, Lea, Flood 2014).
enum WordHash {
    /// The hash of `text`.
    @inline(__always)
    static func hash(_ text: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        var hash = UInt64(text.count) ^ seed
        var index = 0
        while index + 8 <= text.count {
            fold(UInt64(littleEndian: text.loadUnaligned(fromByteOffset: index, as: UInt64.self)), into: &hash)
            index += 8
        }
        if index < text.count {
            var last: UInt64 = 0
            var shift: UInt64 = 0
            while index < text.count {
                last |= UInt64(text[index]) << shift
                shift += 8
                index += 1
            }
            fold(last, into: &hash)
        }
        return mix(hash)
    }

    @inline(__always)
    private static func fold(_ word: UInt64, into hash: inout UInt64) {
        hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
    }

    /// SplitMix64's finalizer.
    @inline(__always)
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
