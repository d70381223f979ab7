internal import Telemetry

/// How long lines are, without rebuilding them.
extension TemplateValues {
    /// The length of each value; all columns must be restored.
    func lengths() -> [Int32] {
        var result = [Int32](repeating: 0, count: leafIndexes.count)
        let statics = stored.leaves.indices.map { leaf in
            Int32(
                table.textRange(stored.leaves[leaf]).count
                    + stored.layout.columns[leaf].reduce(0) { $0 + table.textRange(stored.layout.nodes[$1]).count })
        }
        for row in result.indices { result[row] = statics[Int(leafIndexes[row])] }
        for (column, values) in columns.enumerated() {
            guard let values else { continue }
            if case .constant(let bytes) = values {
                let length = Int32(bytes.count)
                for row in rows[column] ?? leafIndexes.indices.map({ Int32($0) }) { result[Int(row)] += length }
                continue
            }
            if let rows = rows[column] {
                values.forEachLength { index, length in result[Int(rows[index])] += length }
            } else {
                values.forEachLength { index, length in result[index] += length }
            }
        }
        return result
    }
}

extension ColumnValues {
    /// The length that all values have; nil where they differ.
    private var fixedLength: Int32? {
        switch self {
        case .fixed(let width, _), .hexadecimal(let width, _, _): Int32(width)
        case .packed(let width, _, let hasHyphens, _): Int32(hasHyphens ? width + 4 : width)
        case .timestamps(let form, _): Int32(form.bytes)
        default: nil
        }
    }

    private static func digits(_ value: Int64) -> Int32 {
        var rest = value.magnitude
        var count: Int32 = value < 0 ? 2 : 1
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }

    /// Calls `body` with the length of each value.
    func forEachLength(_ body: (Int, Int32) -> Void) {
        switch self {
        case .integers(let values):
            for index in values.indices { body(index, ColumnValues.digits(values[index])) }
        case .fixed(_, let values), .hexadecimal(_, _, let values), .timestamps(_, let values):
            let length = fixedLength ?? 0
            for index in values.indices { body(index, length) }
        case .packed(let width, _, _, let bytes):
            let length = fixedLength ?? 0
            for index in 0..<bytes.count / max(1, (width + 1) / 2) { body(index, length) }
        case .addresses(let values):
            for index in values.indices {
                let address = values[index]
                var length: Int32 = 3
                for shift in [24, 16, 8, 0] as [Int64] { length += ColumnValues.digits(address >> shift & 255) }
                body(index, length)
            }
        case .decimals(let scales, let mantissas):
            for index in mantissas.indices {
                let scale = min(max(Int(scales[index]), 0), 18)
                let whole = mantissas[index] / TimestampForm.powers[scale]
                // A whole part of zero loses the sign of the mantissa.
                let sign: Int32 = mantissas[index] < 0 && whole == 0 ? 1 : 0
                body(index, ColumnValues.digits(whole) + sign + 1 + Int32(scale))
            }
        case .dictionary(let texts, let indexes):
            let lengths = (0..<texts.count).map { Int32(texts.ends[$0] - ($0 == 0 ? 0 : texts.ends[$0 - 1])) }
            for index in indexes.indices { body(index, lengths[Int(indexes[index])]) }
        case .raw(let texts):
            var start = 0
            for index in 0..<texts.count {
                body(index, Int32(texts.ends[index] - start))
                start = texts.ends[index]
            }
        case .templated(let values):
            for (index, length) in values.lengths().enumerated() { body(index, length) }
        // All its values are the same; whoever knows how many there are counts them.
        case .constant: break
        }
    }
}
