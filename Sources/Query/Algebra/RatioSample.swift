internal import Telemetry

/// A fixed place between 0 and 1 for every set of labels, so that sampling by ratio always picks the same series, and
/// the same ones as Prometheus.
enum RatioSample {
    /// XXH64 of the labels as Prometheus keeps them, scaled to 0...1.
    static func place(of labels: Labels) -> Double {
        var bytes: [UInt8] = []
        labels.forEachPair { name, value in
            for text in [name, value] {
                // One byte of length, or 255 and three more.
                if text.count < 255 {
                    bytes.append(UInt8(text.count))
                } else {
                    bytes += [255, 0, 8, 16].enumerated().map {
                        $0 == 0 ? $1 : UInt8(truncatingIfNeeded: text.count >> Int($1))
                    }
                }
                bytes.append(contentsOf: text)
            }
        }
        return Double(XXH64.hash(bytes)) / Double(UInt64.max)
    }

    /// A ratio of 0.3 keeps the places below 0.3, one of -0.3 those from 0.7 on: together with 0.7 everything.
    static func isKept(_ place: Double, ratio: Double) -> Bool { ratio >= 0 ? place < ratio : place >= 1 + ratio }
}

/// The hash function XXH64 with seed 0. Source: Y. Collet, "xxHash fast digest algorithm", section 3.
private enum XXH64 {
    private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    static func hash(_ bytes: [UInt8]) -> UInt64 {
        var offset = 0
        var hash = prime5
        if bytes.count >= 32 {
            var lanes = [prime1 &+ prime2, prime2, 0, 0 &- prime1]
            while offset + 32 <= bytes.count {
                for lane in 0..<4 { lanes[lane] = round(lanes[lane], word(bytes, offset + lane * 8)) }
                offset += 32
            }
            hash = rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
            for lane in lanes { hash = (hash ^ round(0, lane)) &* prime1 &+ prime4 }
        }
        hash = hash &+ UInt64(bytes.count)
        while offset + 8 <= bytes.count {
            hash = rotate(hash ^ round(0, word(bytes, offset)), 27) &* prime1 &+ prime4
            offset += 8
        }
        if offset + 4 <= bytes.count {
            hash = rotate(hash ^ (word(bytes, offset, size: 4) &* prime1), 23) &* prime2 &+ prime3
            offset += 4
        }
        for byte in bytes[offset...] { hash = rotate(hash ^ (UInt64(byte) &* prime5), 11) &* prime1 }
        hash = (hash ^ (hash >> 33)) &* prime2
        hash = (hash ^ (hash >> 29)) &* prime3
        return hash ^ (hash >> 32)
    }

    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotate(lane &+ input &* prime2, 31) &* prime1
    }

    private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }

    private static func word(_ bytes: [UInt8], _ offset: Int, size: Int = 8) -> UInt64 {
        (0..<size).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
}
