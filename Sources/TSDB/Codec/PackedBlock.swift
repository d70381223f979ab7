internal import CKernels
internal import Telemetry

/// Up to 128 integers at one bit width: each less the block's base, the few that need more bits patched.
struct PackedBlock {
    let base: Int64
    let width: Int
    let patchCount: Int
    let byteCount: Int

    /// The smallest way to pack `values`, of which there are at most 128.
    init(_ values: UnsafeBufferPointer<Int64>) {
        var smallest = Int64.max
        var second = Int64.max
        for value in values where value < second {
            if value < smallest {
                (smallest, second) = (value, smallest)
            } else if value > smallest {
                second = value
            }
        }
        let plan = Self.plan(values, base: smallest)
        // One value far below all others, as where a counter began anew, must not widen the rest.
        if second != .max, second &- smallest > 1 << 8 || second &- smallest < 0 {
            let other = Self.plan(values, base: second)
            if other.byteCount < plan.byteCount {
                (base, width, patchCount, byteCount) = (second, other.width, other.patchCount, other.byteCount)
                return
            }
        }
        (base, width, patchCount, byteCount) = (smallest, plan.width, plan.patchCount, plan.byteCount)
    }

    private static func plan(
        _ values: UnsafeBufferPointer<Int64>, base: Int64
    ) -> (width: Int, patchCount: Int, byteCount: Int) {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 65) { lengths in
            lengths.initialize(repeating: 0)
            for value in values { lengths[width(of: value, over: base)] += 1 }
            var widest = 64
            while widest > 0, lengths[widest] == 0 { widest -= 1 }
            let head = 1 + VarintSize.signed(base)
            var best = (width: widest, patchCount: 0, byteCount: head + (values.count * widest + 7) / 8)
            var patches = 0
            var candidate = widest - 1
            while candidate >= 0 {
                patches += lengths[candidate + 1]
                // A byte for the place and at least one for the bits.
                var bytes = head + (values.count * candidate + 7) / 8 + 1 + patches * 2
                if bytes >= best.byteCount, patches * 16 > values.count { break }
                for length in stride(from: candidate + 8, through: widest, by: 1) {
                    bytes += lengths[length] * ((length - candidate - 1) / 7)
                }
                if bytes < best.byteCount { best = (candidate, patches, bytes) }
                candidate -= 1
            }
            return best
        }
    }

    private static func width(of value: Int64, over base: Int64) -> Int {
        64 - UInt64(bitPattern: value &- base).leadingZeroBitCount
    }

    /// Appends the block.
    func write(_ values: UnsafeBufferPointer<Int64>, into writer: inout ByteWriter) {
        writer.put(UInt8(width) | (patchCount > 0 ? ResidualColumn.patchFlag : 0))
        writer.putSigned(base)
        if patchCount > 0 {
            writer.put(UInt8(patchCount))
            for (index, value) in values.enumerated() where Self.width(of: value, over: base) > width {
                writer.put(UInt8(index))
                writer.putVarint(UInt64(bitPattern: value &- base) >> UInt64(width))
            }
        }
        let packedCount = (values.count * width + 7) / 8
        let packed = [UInt8](unsafeUninitializedCapacity: packedCount) { bytes, initialized in
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: values.count) { shifted in
                for (index, value) in values.enumerated() { shifted[index] = UInt64(bitPattern: value &- base) }
                vedette_pack(shifted.baseAddress, values.count, UInt32(width), bytes.baseAddress)
            }
            initialized = packedCount
        }
        writer.put(packed)
    }

    /// Reads a block of `count` values from a padded buffer.
    static func read(
        count: Int, from reader: inout ByteReader, into values: UnsafeMutablePointer<Int64>
    ) throws(ByteError) {
        let place = reader.offset
        let head = try reader.byte()
        let width = Int(head & ~ResidualColumn.patchFlag)
        guard width <= 64 else { throw ByteError(offset: place, reason: "bit width \(width) is over 64") }
        let base = try reader.signed()
        let patches = reader
        var patchCount = 0
        if head & ResidualColumn.patchFlag != 0 {
            patchCount = Int(try reader.byte())
            for _ in 0..<patchCount {
                let index = Int(try reader.byte())
                guard index < count, width < 64 else {
                    throw ByteError(offset: place, reason: "patch \(index) lies outside its block of \(count)")
                }
                _ = try reader.varint()
            }
        }
        let packed = try reader.slice((count * width + 7) / 8)
        vedette_unpack(packed.baseAddress, UInt32(width), count, base, values)
        guard patchCount > 0 else { return }
        // Once more over the patches, now that there is something to patch.
        var again = patches
        _ = try again.byte()
        for _ in 0..<patchCount {
            let index = Int(try again.byte())
            values[index] = values[index] &+ Int64(bitPattern: try again.varint() << UInt64(width))
        }
    }
}
