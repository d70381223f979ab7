internal import Telemetry

/// A fixed place between 0 and 1 for every set of labels, so that sampling by ratio always picks the same series.
enum RatioSample {
    /// FNV-1a with the finaliser of MurmurHash3, scaled to 0..<1.
    static func place(of labels: Labels) -> Double {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in labels.encoded { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return Double((hash ^ (hash >> 33)) >> 11) * 0x1p-53
    }

    /// A ratio of 0.3 keeps the places below 0.3, one of -0.3 those from 0.7 on: together with 0.7 everything.
    static func isKept(_ place: Double, ratio: Double) -> Bool { ratio >= 0 ? place < ratio : place >= 1 + ratio }
}
