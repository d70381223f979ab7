internal import CKernels

/// What a run of residuals will take, before it is encoded: the entropy of its classes.
enum ResidualEstimate {
    /// Classes of 64-bit values with one bit behind the highest: see `EntropyCode`.
    static let classCount = 128
    /// log2 of 0 ... 1024.
    private static let logarithms: [Float] = {
        var table = [Float](repeating: 0, count: 1025)
        var power: Float = 1
        var exponent: Float = 0
        for value in 1...1024 {
            let number = Float(value)
            if number >= power * 2 {
                power *= 2
                exponent += 1
            }
            // log2(1 + x) by its continued halves: squares tell one binary digit each.
            var fraction = number / power
            var bit: Float = 0.5
            var sum = exponent
            for _ in 0..<16 {
                fraction *= fraction
                if fraction >= 2 {
                    fraction /= 2
                    sum += bit
                }
                bit /= 2
            }
            table[value] = sum
        }
        return table
    }()

    /// About the bits that `residuals` take when entropy-coded around `centre`.
    static func bits(
        _ residuals: UnsafeBufferPointer<Int64>, centre: Int64, counts: UnsafeMutablePointer<UInt32>
    ) -> Float {
        counts.update(repeating: 0, count: classCount)
        vedette_count_classes(residuals.baseAddress, residuals.count, 0, centre, counts)
        let total = logarithms[min(residuals.count, 1024)]
        var bits: Float = 0
        for symbol in 0..<classCount where counts[symbol] > 0 {
            let count = Float(counts[symbol])
            let extra = symbol < 2 ? 0 : Float(symbol / 2 - 1)
            bits += count * (total - logarithms[Int(min(counts[symbol], 1024))] + extra) + 6
        }
        return bits
    }

    /// A value in the middle of `residuals`, from a sample of them.
    static func middle(_ residuals: UnsafeBufferPointer<Int64>) -> Int64 {
        let step = max(1, residuals.count / 15)
        var sample: [Int64] = []
        for index in stride(from: step / 2, to: residuals.count, by: step) { sample.append(residuals[index]) }
        sample.sort()
        return sample.isEmpty ? 0 : sample[sample.count / 2]
    }
}
