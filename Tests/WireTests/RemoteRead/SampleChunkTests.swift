import Telemetry
import Testing

@testable import Wire

/// Chunks, byte for byte as Prometheus 2.42 streamed them for the same samples.
@Suite struct SampleChunkTests {
    private static let base: Int64 = 1_796_080_805_000

    private func buffer(_ samples: [(offset: Int64, bits: UInt64)]) -> SampleBuffer {
        var buffer = SampleBuffer()
        buffer.timesMilliseconds = samples.map { Self.base + $0.offset }
        buffer.values = samples.map { Double(bitPattern: $0.bits) }
        return buffer
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test func numbersAreWhatPrometheusWrites() throws {
        let rising = (0..<12).map { (Int64($0) * 15_000, Double($0 * $0 * 3).bitPattern) }
        let constant = (0..<7).map { (Int64($0) * 15_000, 5.0.bitPattern) }
        let odd: [Double] = [
            0, -0.0, 1.5, .infinity, -.infinity, .leastNonzeroMagnitude, 1e308, 0.1, 0.300_000_000_000_000_04,
        ]
        let mixed: [(Int64, UInt64)] = [
            (14_990, 0x3ff0_0000_0000_0000), (29_980, 0x416d_e97e_43fc_4000), (629_980, 0x4176_b6c3_e156_7880),
            (629_981, 0x3fc2_2657_c173_62f0), (1_229_981, 0x3fe4_4d6f_ec2a_e2ad), (1_244_971, 0x3fe4_ecee_f2f4_a65d),
            (1_344_971, 0x3f8e_b8b4_d4ea_65c0), (1_344_972, 0xc1ca_40b7_7ed4_c5ec), (1_414_972, 0x3ff0_0000_0000_0000),
            (1_484_972, 0x3fe0_9caa_2cef_40cd), (1_499_975, 0x3ff0_0000_0000_0000), (1_599_975, 0xc1ba_71ee_58ac_1728),
            (1_699_975, 0x3fe8_4174_58eb_2d89), (1_714_978, 0xc1cc_076a_97b7_a8af),
        ]
        let cases: [(samples: [(Int64, UInt64)], data: String)] = [
            (constant, "0007909291ecc568401400000000000098750000"),
            (
                rising,
                "000c909291ecc56800000000000000009875c26400a0046b166d23f36b1f5a4ed44f2d14d0cd395b478e"
            ),
            (
                // Version 2.42 has one more byte, of no bits: the last ones fill theirs.
                odd.enumerated().map { (Int64($0) * 1_000, $1.bitPattern) },
                "0009909291ecc5680000000000000000e807c00d80dbffa400a8003001ffe00000000000029ff8733ce17af2285202c2ab50e392"
                    + "89d2006aaaaaaaaaaaae"
            ),
            (
                mixed,
                "000eacfc92ecc5683ff00000000000008e75c38fe9de97e43fc7c000000000023b4cb5ddb5fbda2aa38ffffffffffffb6c20e1ef"
                    + "f5a484a10128d3f80000000000493dfeada66b382d59805dffffffffffff712ce80a1811ede44f0e14c12d3bea545a26"
                    + "1ec39dee7961c1f7f227c01d51f5017c222df7f1d205bbf6a62f6d7ac272a8b3bd03374a4ae84e551677a066f0a602e0"
                    + "f7f929c7b962b05cac007f29184d00239d50f759fddfc488c3d9eb90a4c0"
            ),
        ]
        for (samples, data) in cases {
            let chunks = SampleChunk.chunks(of: buffer(samples.map { (offset: $0.0, bits: $0.1) }))
            let chunk = try #require(chunks.first)
            #expect(chunks.count == 1 && chunk.encoding == .xor)
            #expect(chunk.startMilliseconds == Self.base + samples[0].0)
            #expect(chunk.endMilliseconds == Self.base + samples[samples.count - 1].0)
            #expect(hex(chunk.data) == data)
        }
    }

    @Test func histogramsAreWhatPrometheusWrites() throws {
        var whole = NativeHistogram()
        (whole.schema, whole.zeroThreshold, whole.zeroCount, whole.count, whole.sum) = (3, 0.001, 2, 14, -1.25)
        whole.positiveSpans = [.init(offset: -2, length: 2), .init(offset: 3, length: 1)]
        whole.positiveCounts = [4, 1, 5]
        whole.negativeSpans = [.init(offset: 0, length: 1)]
        whole.negativeCounts = [2]
        whole.isInteger = true
        var broken = whole
        (broken.isInteger, broken.count, broken.positiveCounts) = (false, 14.5, [4.5, 1, 5])
        broken.zeroThreshold = 0x1p-128
        for (histogram, encoding, data) in [
            (
                whole, SampleChunk.Encoding.histogram,
                "000100ff3f50624dd2f1a9fc9ca568ce317f0000d11761124463a57fe80000000000014ad240"
            ),
            (
                broken, .floatHistogram,
                "000100749ca568ce317f0000d117611244201680000000000020000000000000005ffa00000000000020090000000000001ff8"
                    + "000000000000200a000000000000200000000000000000"
            ),
        ] {
            let chunk = SampleChunk(histogram, milliseconds: Self.base)
            #expect(chunk.encoding == encoding)
            #expect(chunk.startMilliseconds == Self.base && chunk.endMilliseconds == Self.base)
            #expect(hex(chunk.data) == data)
        }
    }

    @Test func aHintAndCustomBoundsHaveTheirPlace() {
        var histogram = NativeHistogram()
        (histogram.schema, histogram.count, histogram.customBounds) = (NativeHistogram.customBucketsSchema, 3, [0.5])
        (histogram.positiveSpans, histogram.positiveCounts) = ([.init(offset: 0, length: 2)], [1, 2])
        var lengths: [Int] = []
        for (hint, flags) in [
            (NativeHistogram.CounterResetHint.unknown, UInt8(0)), (.notReset, 0x40), (.reset, 0x80), (.gauge, 0xc0),
        ] {
            histogram.counterResetHint = hint
            let data = SampleChunk(histogram, milliseconds: 1).data
            #expect(data.prefix(3) == [0, 1, flags])
            lengths.append(data.count)
        }
        var bare = histogram
        bare.schema = 0
        // A number of bounds in five bits, and one of 65.
        let layout = SampleChunk(bare, milliseconds: 1).data.count
        #expect(Set(lengths).count == 1 && (8...11).contains(lengths[0] - layout))
    }

    @Test func longRunsAreSeveralChunks() {
        let samples = (0..<250).map { (offset: Int64($0) * 15_000, bits: Double($0).bitPattern) }
        let chunks = SampleChunk.chunks(of: buffer(samples))
        #expect(chunks.map { Int($0.data[0]) << 8 | Int($0.data[1]) } == [120, 120, 10])
        #expect(chunks[1].startMilliseconds == Self.base + 120 * 15_000)
        #expect(chunks[1] == SampleChunk.chunks(of: buffer(Array(samples[120..<240])))[0])
    }
}
