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
                if let rows = rows(ofColumn: column) {
                    for row in rows { result[Int(row)] += length }
                } else {
                    for row in result.indices { result[row] += length }
                }
                continue
            }
            if let rows = rows(ofColumn: column) {
                values.forEachLength { index, length in result[Int(rows[rows.startIndex + index])] += length }
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
            values.forEachChunk(0..<values.count) { chunk, first in
                for index in chunk.indices { body(first + index, ColumnValues.digits(chunk[index])) }
            }
        case .fixed(_, let values), .hexadecimal(_, _, let values):
            let length = fixedLength ?? 0
            for index in 0..<values.count { body(index, length) }
        case .timestamps(_, let values):
            let length = fixedLength ?? 0
            for index in 0..<values.count { body(index, length) }
        case .packed(let width, _, _, let bytes):
            let length = fixedLength ?? 0
            for index in 0..<bytes.count / max(1, (width + 1) / 2) { body(index, length) }
        case .addresses(let values):
            values.forEachChunk(0..<values.count) { chunk, first in
                for index in chunk.indices {
                    var length: Int32 = 3
                    for shift in [24, 16, 8, 0] as [Int64] {
                        length += ColumnValues.digits(chunk[index] >> shift & 255)
                    }
                    body(first + index, length)
                }
            }
        case .decimals(let scales, let mantissas):
            mantissas.forEachChunk(0..<mantissas.count) { chunk, first in
                for index in chunk.indices {
                    let scale = min(max(Int(scales[first + index]), 0), 18)
                    let whole = chunk[index] / TimestampForm.powers[scale]
                    // A whole part of zero loses the sign of the mantissa.
                    let sign: Int32 = chunk[index] < 0 && whole == 0 ? 1 : 0
                    body(first + index, ColumnValues.digits(whole) + sign + 1 + Int32(scale))
                }
            }
        case .dictionary(let texts, let indexes):
            let lengths = (0..<texts.count).map { Int32(texts.ends[$0] - ($0 == 0 ? 0 : texts.ends[$0 - 1])) }
            indexes.forEachChunk(0..<indexes.count) { chunk, first in
                for index in chunk.indices { body(first + index, lengths[Int(chunk[index])]) }
            }
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
