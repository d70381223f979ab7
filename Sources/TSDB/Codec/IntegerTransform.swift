internal import CKernels

/// Takes differences of integers, and sums them up again. Arithmetic wraps, so every column comes back as it was.
enum IntegerTransform {
    /// Turns residuals into integers: element 0 is 0, and with second differences element 1 is `slope`.
    static func restore(
        _ values: UnsafeMutableBufferPointer<Int64>, _ transform: FloatColumn.Transform, slope: Int64,
        reference: [Int64]
    ) {
        guard let start = values.baseAddress, values.count > 0 else { return }
        switch transform {
        case .offsets: break
        case .differences: vedette_sum(start, values.count, 0)
        case .secondDifferences:
            guard values.count > 1 else { return }
            vedette_sum(start + 1, values.count - 1, slope)
            vedette_sum(start, values.count, 0)
        case .reference:
            vedette_sum(start, values.count, 0)
            reference.withUnsafeBufferPointer { vedette_add(start, $0.baseAddress, values.count) }
        }
    }

    /// Adds corrections to bit patterns, one to each.
    static func add(_ corrections: [Int64], to bits: UnsafeMutableBufferPointer<UInt64>) {
        bits.withMemoryRebound(to: Int64.self) { bits in
            vedette_add(bits.baseAddress, corrections, min(bits.count, corrections.count))
        }
    }

    /// The residuals of `values`, whose first is 0, and the slope that second differences keep apart.
    static func residuals(
        _ values: [Int64], _ transform: FloatColumn.Transform, reference: [Int64]
    ) -> (residuals: [Int64], slope: Int64) {
        guard values.count > 1 else { return ([], 0) }
        var result = [Int64](repeating: 0, count: values.count - 1)
        values.withUnsafeBufferPointer { values in
            switch transform {
            case .offsets: for index in 1..<values.count { result[index - 1] = values[index] }
            case .differences, .secondDifferences:
                for index in 1..<values.count { result[index - 1] = values[index] &- values[index - 1] }
            case .reference:
                reference.withUnsafeBufferPointer { other in
                    for index in 1..<values.count {
                        result[index - 1] = values[index] &- values[index - 1] &- other[index] &+ other[index - 1]
                    }
                }
            }
        }
        guard transform == .secondDifferences else { return (result, 0) }
        let slope = result[0]
        for index in stride(from: result.count - 1, to: 0, by: -1) { result[index] &-= result[index - 1] }
        result.removeFirst()
        return (result, slope)
    }
}
